//! The services' logs, when they tell something.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Lines of services that panicked.
pub(super) fn panics(folder: &Path) -> Result<Vec<String>> {
    let mut panics = Vec::new();
    for log in logs(folder)? {
        let text = String::from_utf8_lossy(&std::fs::read(&log)?).into_owned();
        let name = log.file_stem().unwrap_or_default().to_string_lossy();
        let lines = text.lines().filter(|line| line.contains("panicked at"));
        panics.extend(lines.map(|line| format!("{name}: {line}")));
    }
    Ok(panics)
}

/// Copies them to where they outlive the soak.
pub(super) fn keep(folder: &Path, seed: u64) -> Result<PathBuf> {
    let kept = std::env::temp_dir().join(format!("chasqui-soak-{seed}-logs"));
    std::fs::create_dir_all(&kept).with_context(|| format!("can't make {}", kept.display()))?;
    for log in logs(folder)? {
        std::fs::copy(&log, kept.join(log.file_name().unwrap_or_default()))?;
    }
    Ok(kept)
}

fn logs(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut logs = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "log") {
            logs.push(file);
        }
    }
    Ok(logs)
}
