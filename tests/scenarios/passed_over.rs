//! Tests that pass over because this machine lacks something: they say so, rather than pass in silence.

use std::env;
use std::fs::OpenOptions;
use std::io::Write as _;

/// Names a file that tells which tests were passed over.
const PASSED_OVER: &str = "CHASQUI_PASSED_OVER";

/// Says that the calling test passes over for want of these, on the standard error, and in the file that the environment
/// names. The test is to return at once.
pub(crate) fn pass_over(missing: &[&str]) {
    // libtest names a test's thread after it.
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let line = format!(
        "{test} is passed over for want of {}\n",
        missing.join(" and ")
    );
    // Other than what `eprintln!` writes, this is shown of tests that pass, too.
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    if let Some(file) = env::var_os(PASSED_OVER) {
        let file = OpenOptions::new().create(true).append(true).open(file);
        file.unwrap().write_all(line.as_bytes()).unwrap();
    }
}
