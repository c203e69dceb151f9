//! Links between the pages lead somewhere: to files that are there, and to headings that they have.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn each_link_leads_to_a_file_and_a_heading() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap();
    let mut pages = Vec::new();
    find_pages(&root, &mut pages);
    let (mut checked, mut broken) = (0, Vec::new());
    for page in &pages {
        for link in links(&fs::read_to_string(page).unwrap()) {
            checked += 1;
            if let Err(problem) = follow(&root, page, &link) {
                let page = page.strip_prefix(&root).unwrap().display();
                broken.push(format!("{page}: ({link}): {problem}"));
            }
        }
    }
    assert!(pages.len() > 10 && checked > 50, "{checked} links");
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

fn find_pages(folder: &Path, pages: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        if path.is_dir() && !path.is_symlink() && name != "target" && name != ".git" {
            find_pages(&path, pages);
        } else if name.ends_with(".md") {
            pages.push(path);
        }
    }
}

/// Whether a link of a page leads somewhere. Other hosts are not asked.
fn follow(root: &Path, page: &Path, link: &str) -> Result<(), String> {
    if ["https://", "http://", "mailto:"]
        .iter()
        .any(|scheme| link.starts_with(scheme))
    {
        return Ok(());
    }
    let (path, anchor) = match link.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor)),
        None => (link, None),
    };
    let target = match path.strip_prefix('/') {
        _ if path.is_empty() => page.to_owned(),
        Some(path) => root.join(path),
        None => page.parent().unwrap().join(path),
    };
    let found = target.canonicalize().map_err(|_| "there is no such file")?;
    if !found.starts_with(root) {
        return Err("it leads out of the repository".to_owned());
    }
    let Some(anchor) = anchor else {
        return Ok(());
    };
    let text = fs::read_to_string(&found).map_err(|error| error.to_string())?;
    if anchors(&text).contains(anchor) {
        Ok(())
    } else {
        Err(format!("there is no heading #{anchor}"))
    }
}

/// The targets of a page's links, `[text](target)` and `[label]: target`, those in code left out.
fn links(text: &str) -> Vec<String> {
    let prose = without_blocks(text);
    let mut links = Vec::new();
    for paragraph in prose.split("\n\n") {
        let paragraph = without_spans(paragraph);
        let inline = paragraph.split("](").skip(1);
        links.extend(inline.filter_map(|rest| target(rest.split(')').next()?)));
        let labelled = paragraph.lines().filter(|line| line.starts_with('['));
        links.extend(labelled.filter_map(|line| target(line.split_once("]: ")?.1)));
    }
    links
}

/// Without a title.
fn target(words: &str) -> Option<String> {
    words.split_whitespace().next().map(str::to_owned)
}

/// Without code between fences, which may look like anything.
fn without_blocks(text: &str) -> String {
    let mut is_code = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            prose.push_str(line.trim_end());
            prose.push('\n');
        }
    }
    prose
}

/// Without code between equally many backticks.
fn without_spans(paragraph: &str) -> String {
    let mut prose = String::new();
    let mut rest = paragraph;
    while let Some(start) = rest.find('`') {
        prose.push_str(&rest[..start]);
        rest = &rest[start..];
        let ticks = rest.len() - rest.trim_start_matches('`').len();
        let (fence, code) = rest.split_at(ticks);
        rest = code.split_once(fence).map_or(code, |(_, after)| after);
    }
    prose + rest
}

/// The anchors of a page's headings, as GitHub makes them: a heading that comes again gets a number.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for line in without_blocks(text).lines() {
        let heading = line.trim_start_matches('#');
        let level = line.len() - heading.len();
        if !(1..=6).contains(&level) || !heading.starts_with(' ') {
            continue;
        }
        let slug = slug(heading);
        let again = (1..).map(|number| format!("{slug}-{number}"));
        let free = std::iter::once(slug.clone())
            .chain(again)
            .find(|slug| !anchors.contains(slug));
        anchors.extend(free);
    }
    anchors
}

/// Letters, digits, `-` and `_` stay, in lower case; a space becomes `-`. Of a link, its text counts.
fn slug(heading: &str) -> String {
    let mut words = String::new();
    for (index, part) in heading.trim().split("](").enumerate() {
        let part = match index {
            0 => part,
            _ => part.split_once(')').map_or("", |(_, after)| after),
        };
        words.push_str(part);
    }
    let letters = words.chars().flat_map(char::to_lowercase);
    letters
        .filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'))
        .map(|letter| if letter == ' ' { '-' } else { letter })
        .collect()
}

#[test]
fn anchors_are_made_as_github_makes_them() {
    let page = "\
# Chasqui: mail, relayed
## DNS: records to publish
## `chasqui dev` & others
### See [the rules](../rules.md#all) first
## Wants
## Wants
#no-heading
```
# a comment
```
";
    let expected = [
        "chasqui-dev--others",
        "chasqui-mail-relayed",
        "dns-records-to-publish",
        "see-the-rules-first",
        "wants",
        "wants-1",
    ];
    assert!(anchors(page).iter().eq(&expected), "{:?}", anchors(page));
}

#[test]
fn links_are_found_and_those_in_code_are_not() {
    let page = "\
A [file](one.md), `[code](no.md)`, [`code`](two.md#a
\"title\") and ``a ` [b](no.md)``.

```
[block](no.md)
```
[label]: three.md
";
    assert_eq!(links(page), ["one.md", "two.md#a", "three.md"]);
}

#[test]
fn what_leads_nowhere_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let page = root.join("page.md");
    fs::write(&page, "# Here\n").unwrap();
    for link in ["page.md", "#here", "/page.md#here", "https://example.org/x"] {
        assert_eq!(follow(&root, &page, link), Ok(()), "{link}");
    }
    for link in ["pages.md", "#there", "page.md#there", "../", "/none.md"] {
        assert!(follow(&root, &page, link).is_err(), "{link}");
    }
}
