//! The services' logs, for whoever looks for the cause of a failure: `CHASQUI_TEST_LOG=debug cargo test …`.

use std::sync::Once;

use service::config::LogConfig;

/// Shows the logs of this process from now on, if they were asked for.
pub(super) fn begin() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        if let Ok(level) = std::env::var("CHASQUI_TEST_LOG") {
            let config = LogConfig {
                level,
                ..LogConfig::default()
            };
            service::log::init(&config).unwrap();
        }
    });
}
