//! [`Trace`]: the trace that a request is a part of ([Trace Context](https://www.w3.org/TR/trace-context/)).

use std::fmt;

use warp::http::HeaderMap;

use super::headers::TRACEPARENT;

/// The trace that a request is a part of, as its client has begun it, and the service's own span in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trace {
    id: u128,
    /// The span that the request comes from.
    parent: u64,
    /// The span that the request is.
    span: u64,
    flags: u8,
}

impl Trace {
    /// Returns the trace that a request names, once and well formed; else the request is a part of none.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Trace> {
        let mut told = headers.get_all(TRACEPARENT).iter();
        let (Some(told), None) = (told.next(), told.next()) else { return None };
        let (id, parent, flags) = parse(told.to_str().ok()?)?;
        // Never zero, which would be no span.
        Some(Trace { id, parent, span: fastrand::u64(1..), flags })
    }

    /// Returns the name of the trace.
    pub(crate) fn id(&self) -> String {
        format!("{:032x}", self.id)
    }

    /// Returns the name of the service's own part of it.
    pub(crate) fn span(&self) -> String {
        format!("{:016x}", self.span)
    }

    /// Returns the name of the part that has asked for it.
    pub(crate) fn parent(&self) -> String {
        format!("{:016x}", self.parent)
    }
}

/// Writes the header's value, with the service's own span as the parent of what follows.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.id, self.span, self.flags)
    }
}

/// Reads the header: version, trace, parent, flags (section 3.2). Later versions may have more behind that.
fn parse(text: &str) -> Option<(u128, u64, u8)> {
    let mut parts = text.trim().split('-');
    let version = digits(parts.next()?, 2)?;
    let id = digits(parts.next()?, 32)?;
    let parent = u64::try_from(digits(parts.next()?, 16)?).ok()?;
    let flags = u8::try_from(digits(parts.next()?, 2)?).ok()?;
    let is_whole = version != 0 || parts.next().is_none();
    // Of later versions, no more is known than that a trace may be sampled (section 4).
    let flags = if version == 0 { flags } else { flags & 1 };
    (version != 255 && is_whole && id != 0 && parent != 0).then_some((id, parent, flags))
}

/// Reads that many digits, which are hexadecimal and in lower case.
fn digits(text: &str, count: usize) -> Option<u128> {
    let is_digit = |c: u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != count || !text.bytes().all(is_digit) {
        return None;
    }
    u128::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use warp::http::HeaderValue;

    use super::*;

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn trace(told: &[String]) -> Option<Trace> {
        let mut headers = HeaderMap::new();
        for value in told {
            headers.append(TRACEPARENT, HeaderValue::from_str(value).unwrap());
        }
        Trace::of(&headers)
    }

    #[test]
    fn a_trace_is_taken_over() {
        for (told, flags) in [("00-ID-00f067aa0ba902b7-01", "01"), ("cc-ID-00f067aa0ba902b7-ff-more", "01")] {
            let trace = trace(&[told.replace("ID", ID)]).unwrap();
            assert_eq!((trace.id(), trace.parent()), (ID.into(), "00f067aa0ba902b7".into()));
            assert_ne!(trace.span, trace.parent);
            assert_eq!(trace.to_string(), format!("00-{ID}-{}-{flags}", trace.span()));
        }
    }

    #[test]
    fn what_is_no_trace_is_passed_over() {
        let good = format!("00-{ID}-00f067aa0ba902b7-01");
        assert_eq!(trace(&[good.clone(), good]), None, "twice");
        for wrong in [
            "",
            "00-ID-00f067aa0ba902b7",
            "00-ID-00f067aa0ba902b7-01-more",
            "ff-ID-00f067aa0ba902b7-01",
            "00-ID-0000000000000000-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-ID-00F067AA0BA902B7-01",
            "00-ID-+0f067aa0ba902b7-01",
            "00-ID0-0f067aa0ba902b7-01",
        ] {
            assert_eq!(trace(&[wrong.replace("ID", ID)]), None, "{wrong}");
        }
    }
}
