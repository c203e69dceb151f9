//! The services' programs, for tests that run them as processes of their own.

use std::path::{Path, PathBuf};
use std::process::Command;

use tokio::sync::OnceCell;

/// The packages whose programs a fleet is made of; each program is named like its package.
const PACKAGES: [&str; 4] = ["submission", "relay", "delivery", "chasqui"];
/// Names a folder of programs that are to be tested instead, such as those of a release.
const PREBUILT: &str = "CHASQUI_TEST_BINARIES";

static BINARIES: OnceCell<Binaries> = OnceCell::const_new();

/// The programs of this workspace, built as the test itself is.
///
/// # Panics
/// When they don't build.
pub async fn binaries() -> Binaries {
    let binaries =
        BINARIES.get_or_init(async || tokio::task::spawn_blocking(find_or_build).await.unwrap());
    binaries.await.clone()
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Binaries {
    folder: PathBuf,
}

impl Binaries {
    /// The path of a program: `submission`, `relay`, `delivery` or `chasqui`.
    ///
    /// # Panics
    /// When it is not there.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        let path = self.folder.join(name);
        assert!(path.is_file(), "{} is missing", path.display());
        path
    }

    /// Runs a program without the settings that the test's own environment may have.
    #[must_use]
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.path(name));
        for (variable, _) in std::env::vars_os() {
            let ours = variable.as_encoded_bytes().starts_with(b"CHASQUI_");
            if ours || variable == "DATABASE_URL" || variable == "DATABASE_URL_FILE" {
                command.env_remove(variable);
            }
        }
        command
    }
}

fn find_or_build() -> Binaries {
    if let Some(folder) = std::env::var_os(PREBUILT) {
        return Binaries {
            folder: folder.into(),
        };
    }
    let folder = profile_folder();
    // The folder is named like the profile, except for one.
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut build = Command::new(cargo);
    build
        .current_dir(workspace)
        .args(["build", "--quiet", "--bins", "--profile", profile]);
    for package in PACKAGES {
        build.args(["--package", package]);
    }
    let output = build.output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "the services don't build:\n{complaints}"
    );
    Binaries { folder }
}

/// `target/debug` of `target/debug/deps/scenarios-0123456789abcdef`.
fn profile_folder() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().to_owned()
}
