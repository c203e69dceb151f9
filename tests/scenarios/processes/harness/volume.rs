//! Small volumes that can be filled. They lie in memory, which is as good as a disk for being full.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;
use testkit::{TestDatabase, TestPostgres};

use crate::passed_over::pass_over;

/// A file system of its own, unmounted when dropped.
#[derive(Debug)]
pub(crate) struct Volume {
    folder: TempDir,
}

impl Volume {
    /// Mounts one. Where nobody may, the calling test is to return at once: that it passes over is said here.
    pub(crate) fn mount(mebibytes: usize) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={mebibytes}m,mode=0755");
        let mounted = nix::unistd::geteuid().is_root()
            && succeeds(
                Command::new("mount")
                    .args(["-t", "tmpfs", "-o", &options, "chasqui-test"])
                    .arg(folder.path()),
            );
        if !mounted {
            pass_over(&["root, who may mount a volume"]);
            return None;
        }
        Some(Self { folder })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Fills it to the last octet.
    pub(crate) fn fill(&self) {
        let mut file = File::create(self.filler()).unwrap();
        for piece in [1 << 20, 4 << 10, 1] {
            let zeros = vec![0; piece];
            let error = loop {
                if let Err(error) = file.write(&zeros) {
                    break error;
                }
            };
            assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
        }
    }

    /// Gives the space back.
    pub(crate) fn free(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    /// A database whose tables lie here.
    pub(crate) async fn database(&self, postgres: &TestPostgres) -> TestDatabase {
        let database = postgres.database().await;
        self.give_to(&data_folder(&database).await);
        let (server, name) = database.url().rsplit_once('/').unwrap();
        let maintenance = format!("{server}/postgres");
        let mut connection = PgConnection::connect(&maintenance).await.unwrap();
        let make = format!(
            "CREATE TABLESPACE small LOCATION '{}'",
            self.folder().display()
        );
        let move_here = format!("ALTER DATABASE {name} SET TABLESPACE small");
        for statement in [make, move_here] {
            connection.execute(AssertSqlSafe(statement)).await.unwrap();
        }
        database
    }

    /// Moves a server's write-ahead log here, while the server is stopped.
    pub(crate) async fn take_the_log_of(&self, postgres: &TestPostgres) {
        let data = data_folder(&postgres.database().await).await;
        self.give_to(&data);
        postgres.stop().await;
        let (from, to) = (data.join("pg_wal"), self.folder().join("pg_wal"));
        assert!(succeeds(Command::new("cp").arg("-a").args([&from, &to])));
        std::fs::remove_dir_all(&from).unwrap();
        std::os::unix::fs::symlink(&to, &from).unwrap();
        postgres.start().await;
    }

    fn filler(&self) -> PathBuf {
        self.folder().join("filler")
    }

    /// Whoever runs Postgres owns this, too.
    fn give_to(&self, data: &Path) {
        let owner = std::fs::metadata(data).unwrap();
        let (user, group) = (Some(owner.uid()), Some(owner.gid()));
        std::os::unix::fs::chown(self.folder(), user, group).unwrap();
    }
}

async fn data_folder(database: &TestDatabase) -> PathBuf {
    let mut connection = database.connect().await;
    let folder: String = sqlx::query_scalar("SHOW data_directory")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    PathBuf::from(folder)
}

fn succeeds(command: &mut Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}

impl Drop for Volume {
    fn drop(&mut self) {
        // Lazily, since a server that is being killed may still hold a file.
        let unmounted = succeeds(Command::new("umount").arg("-l").arg(self.folder()));
        if !unmounted {
            eprintln!("{} is still mounted", self.folder().display());
        }
    }
}
