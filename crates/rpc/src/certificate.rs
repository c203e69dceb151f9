//! Until when our own certificates are good that are shown over gRPC, to callers and to services.
//! They are read once, so what is told is true until the process ends.

use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use opentelemetry::metrics::ObservableGauge;
use opentelemetry::{KeyValue, global};
use x509_parser::pem::Pem;

/// When those that are in use expire, in Unix time.
static SHOWN: Mutex<Vec<Weak<i64>>> = Mutex::new(Vec::new());

/// The same instrument as `smtp-net` has for its certificate: name and description must be alike.
static GAUGE: LazyLock<ObservableGauge<i64>> = LazyLock::new(|| {
    global::meter("chasqui")
        .i64_observable_gauge("chasqui_certificate_expires_timestamp_seconds")
        .with_description("When the certificate that others are shown expires, in Unix time")
        .with_callback(|gauge| {
            if let Some(first) = first_to_expire() {
                gauge.observe(first, &[KeyValue::new("of", "grpc")]);
            }
        })
        .build()
});

/// A certificate counts as shown until this and its clones are dropped.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    _expires: Arc<i64>,
}

impl Shown {
    /// Tells from now on until when the first certificate in `pem` is good. None for one that can't
    /// be read, which nobody would take either.
    pub(crate) fn new(pem: &[u8]) -> Option<Self> {
        let expires = Arc::new(expires(pem)?);
        let mut shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
        shown.retain(|other| other.strong_count() > 0);
        shown.push(Arc::downgrade(&expires));
        drop(shown);
        LazyLock::force(&GAUGE);
        Some(Self { _expires: expires })
    }
}

fn first_to_expire() -> Option<i64> {
    let shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let expiries = shown.iter().filter_map(Weak::upgrade);
    expiries.map(|expires| *expires).min()
}

fn expires(pem: &[u8]) -> Option<i64> {
    let first = Pem::iter_from_buffer(pem).next()?.ok()?;
    let certificate = first.parse_x509().ok()?;
    Some(certificate.validity().not_after.timestamp())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn until(year: i32) -> String {
        let mut parameters = CertificateParams::new(vec!["relay".to_owned()]).unwrap();
        parameters.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        parameters.self_signed(&key).unwrap().pem()
    }

    #[test]
    fn of_all_that_are_shown_the_first_to_expire_is_told() {
        // 2100-01-01 and 2000-01-01. An intermediate follows the certificate, and doesn't count.
        let (late, early) = (4_102_444_800, 946_684_800);
        let pem = until(2100) + &until(2000);
        let long = Shown::new(pem.as_bytes()).unwrap();
        assert_eq!(first_to_expire(), Some(late));
        let short = Shown::new(until(2000).as_bytes()).unwrap();
        assert_eq!(first_to_expire(), Some(early));
        drop(short.clone());
        assert_eq!(first_to_expire(), Some(early));
        drop(short);
        assert_eq!(first_to_expire(), Some(late));
        drop(long);
        assert_eq!(first_to_expire(), None);
        assert!(Shown::new(b"no certificate").is_none());
    }
}
