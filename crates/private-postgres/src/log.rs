//! What Postgres wrote into its log, for the one line that an error has.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// At most this much of the log's end is read.
const TAIL: u64 = 64 * 1024;
/// A log longer than this is put aside before the next start.
const LONG: u64 = 16 * 1024 * 1024;

/// A place in the log: what comes after it belongs to what we are doing now.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    from: u64,
}

impl Log {
    /// Marks the log's present end. A long log is renamed first, over the one before it.
    pub(crate) fn from_here(path: PathBuf) -> Self {
        let length = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        if length(&path) > LONG {
            // Failing to tidy up is no reason not to start.
            let _ = std::fs::rename(&path, path.with_extension("old"));
        }
        let from = length(&path);
        Self { path, from }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Everything since the mark, of a long text its end.
    pub(crate) fn text(&self) -> String {
        let mut bytes = Vec::new();
        // An unreadable log only makes the message poorer.
        let _ = File::open(&self.path).and_then(|mut file| {
            let end = file.metadata()?.len();
            file.seek(SeekFrom::Start(self.from.max(end.saturating_sub(TAIL))))?;
            file.take(TAIL).read_to_end(&mut bytes)
        });
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The line that says best what went wrong.
    pub(crate) fn last_words(&self) -> String {
        let text = self.text();
        fatal(&text)
            .or_else(|| text.lines().rfind(|line| !line.trim().is_empty()))
            .unwrap_or("it said nothing")
            .trim()
            .to_owned()
    }
}

/// What stands after the last mark of a fatal error, as the server or `initdb` writes them.
fn fatal(text: &str) -> Option<&str> {
    text.lines().rev().find_map(|line| {
        ["FATAL:", "PANIC:", "error:"]
            .into_iter()
            .find_map(|mark| line.split_once(mark))
            .map(|(_, said)| said)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_fatal_line_speaks() {
        let server = "\
2026-11-23 10:00:00 UTC [7] LOG:  starting PostgreSQL 15.8
2026-11-23 10:00:00 UTC [7] FATAL:  could not map anonymous shared memory: Cannot allocate memory
2026-11-23 10:00:00 UTC [7] HINT:  This error usually means that…
2026-11-23 10:00:00 UTC [7] LOG:  database system is shut down
";
        assert_eq!(
            fatal(server),
            Some("  could not map anonymous shared memory: Cannot allocate memory")
        );
        let initdb = "creating directory data.new ... initdb: error: could not create directory\n";
        assert_eq!(fatal(initdb), Some(" could not create directory"));
        assert_eq!(fatal("LOG:  all is well\n"), None);
    }
}
