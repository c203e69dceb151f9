//! Whether a message arrived byte for byte.

use crate::fleet::Mail;

/// The fields that were put on top of what was sent, which must be there unchanged.
#[track_caller]
pub(crate) fn trace_on_top_of(sent: &[u8], mail: &Mail) -> String {
    let Some(trace) = mail.bytes.strip_suffix(sent) else {
        panic!("{}", difference(sent, &mail.bytes));
    };
    let trace = String::from_utf8(trace.to_vec()).unwrap();
    assert!(
        trace.ends_with("\r\n"),
        "the fields on top run into the message: {trace}"
    );
    trace
}

/// Where two messages begin to differ, seen from their ends; for a message of megabytes is no good to print.
fn difference(sent: &[u8], arrived: &[u8]) -> String {
    let same = sent
        .iter()
        .rev()
        .zip(arrived.iter().rev())
        .take_while(|(left, right)| left == right)
        .count();
    format!(
        "not as sent, but for the last {same} bytes of {}: sent {:?}, arrived {:?}",
        sent.len(),
        before(sent, same),
        before(arrived, same),
    )
}

/// What stands around the place that many bytes from the end.
fn before(message: &[u8], same: usize) -> String {
    let place = message.len() - same;
    let around = &message[place.saturating_sub(200)..message.len().min(place + 20)];
    String::from_utf8_lossy(around).into_owned()
}
