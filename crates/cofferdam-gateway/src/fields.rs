//! Lines and fields of an HTTP/1 head, of requests and answers alike (RFC 9112, 2 to 5).
//!
//! A line ends in CR LF and in nothing else; a byte that some readers take for an end of line or of
//! text is refused where it stands. What is wrong is found from left to right, so the answer does not
//! depend on how the bytes were cut on their way.

use cofferdam_policy::judge::requests::is_same_field;

use crate::authority::cut;

/// Longest head, with the empty line. Bytes. Common servers take 8 to 64 KiB: a head that is longer
/// would be refused there.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Most fields of a head; common servers take 100.
pub const HEADERS_MAX: usize = 128;

/// One field. The name is a token, as it was written; the value has no blanks around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// As written; [`Field::is`] compares it.
    pub name: String,
    /// Tabs, spaces, visible bytes and bytes from 0x80: no control byte.
    pub value: Vec<u8>,
}

impl Field {
    /// A field of our own.
    pub(crate) fn new(name: &str, value: &str) -> Self {
        Self { name: name.into(), value: value.into() }
    }

    /// Whether it has this name; case says nothing.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Whether some host takes it for one of this name.
    #[must_use]
    pub fn is_like(&self, name: &str) -> bool {
        is_same_field(self.name.as_bytes(), name.as_bytes())
    }

    /// Whether its name begins so.
    fn begins(&self, start: &str) -> bool {
        self.name.get(..start.len()).is_some_and(|first| first.eq_ignore_ascii_case(start))
    }
}

/// Why lines are no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineFault {
    /// A control byte.
    Byte(u8),
    /// A line feed without its carriage return.
    BareLf,
    /// A carriage return without its line feed.
    BareCr,
    /// A line that begins with a blank: it once continued the line before.
    Folded,
    /// What stands before the colon is no token, or there is no colon.
    FieldName,
    /// Over [`HEAD_BYTES_MAX`].
    TooLarge,
    /// Over [`HEADERS_MAX`].
    TooMany,
}

impl LineFault {
    /// Stable name for scripts and the log.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Byte(_) => "http-byte",
            Self::BareLf => "http-bare-lf",
            Self::BareCr => "http-bare-cr",
            Self::Folded => "http-folded",
            Self::FieldName => "http-field-name",
            Self::TooLarge => "http-large",
            Self::TooMany => "http-many-fields",
        }
    }
}

impl std::fmt::Display for LineFault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Byte(byte) => write!(out, "byte 0x{byte:02x} is in no head"),
            Self::BareLf => out.write_str("a line ends in LF without CR"),
            Self::BareCr => out.write_str("there is a CR without LF"),
            Self::Folded => out.write_str("a field is continued on another line"),
            Self::FieldName => out.write_str("a field's name is no token"),
            Self::TooLarge => write!(out, "a head has at most {HEAD_BYTES_MAX} bytes"),
            Self::TooMany => write!(out, "a head has at most {HEADERS_MAX} fields"),
        }
    }
}

/// Whole lines from the start of what has come.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: bytes.get(..HEAD_BYTES_MAX).unwrap_or(bytes), at: 0 }
    }

    /// Bytes of the lines so far.
    pub(crate) fn length(&self) -> usize {
        self.at
    }

    /// The next line without its end; `None` while there is no end.
    pub(crate) fn line(&mut self) -> Result<Option<&'a [u8]>, LineFault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        for (at, byte) in rest.iter().enumerate() {
            match byte {
                b'\r' => match rest.get(at + 1) {
                    Some(b'\n') => {
                        self.at += at + 2;
                        return Ok(rest.get(..at));
                    }
                    Some(_) => return Err(LineFault::BareCr),
                    None => break,
                },
                b'\n' => return Err(LineFault::BareLf),
                b'\t' | 0x20..=0x7E | 0x80.. => {}
                0..=0x1F | 0x7F => return Err(LineFault::Byte(*byte)),
            }
        }
        if self.bytes.len() == HEAD_BYTES_MAX { Err(LineFault::TooLarge) } else { Ok(None) }
    }

    /// The fields up to the empty line; `None` while it has not come.
    pub(crate) fn fields(&mut self) -> Result<Option<Vec<Field>>, LineFault> {
        let mut fields = Vec::new();
        loop {
            let Some(line) = self.line()? else { return Ok(None) };
            if line.is_empty() {
                return Ok(Some(fields));
            }
            if line.starts_with(b" ") || line.starts_with(b"\t") {
                return Err(LineFault::Folded);
            }
            if fields.len() == HEADERS_MAX {
                return Err(LineFault::TooMany);
            }
            let (name, value) = cut(line, b':').ok_or(LineFault::FieldName)?;
            let name = token(name).ok_or(LineFault::FieldName)?;
            fields.push(Field { name: name.into(), value: trim(value).into() });
        }
    }
}

/// The text of a token (RFC 9110, 5.6.2).
pub(crate) fn token(bytes: &[u8]) -> Option<&str> {
    let whole = !bytes.is_empty() && bytes.iter().all(|byte| is_token(*byte));
    std::str::from_utf8(bytes).ok().filter(|_| whole)
}

pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Without the blanks around it: no other byte counts as one.
fn trim(bytes: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let from = bytes.iter().position(|byte| !blank(byte)).unwrap_or(bytes.len());
    let to = bytes.iter().rposition(|byte| !blank(byte)).map_or(from, |last| last + 1);
    bytes.get(from..to).unwrap_or_default()
}

/// Values of every field of a name, in order.
pub(crate) fn values<'a>(fields: &'a [Field], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    fields.iter().filter(move |field| field.is(name)).map(|field| field.value.as_slice())
}

/// Elements of a list, over all fields of a name; empty ones do not count (RFC 9110, 5.6.1).
pub(crate) fn elements<'a>(fields: &'a [Field], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let parts = values(fields, name).flat_map(|value| value.split(|byte| *byte == b','));
    parts.map(trim).filter(|part| !part.is_empty())
}

/// Whether a list names this; case says nothing.
pub(crate) fn lists(fields: &[Field], name: &str, wanted: &str) -> bool {
    elements(fields, name).any(|part| part.eq_ignore_ascii_case(wanted.as_bytes()))
}

/// Names that are for one connection only, whatever `Connection` says (RFC 9110, 7.6.1; RFC 9113, 8.2.2;
/// `HTTP2-Settings`: RFC 7540, 3.2.1).
const HOP_BY_HOP: &[&str] = &["connection", "keep-alive", "te", "upgrade", "http2-settings"];

/// Whether a field is for this connection only: by its name, or because `Connection` names it.
pub(crate) fn is_hop(field: &Field, fields: &[Field]) -> bool {
    HOP_BY_HOP.iter().any(|name| field.is(name))
        || field.begins("proxy-")
        || lists(fields, "connection", &field.name)
}

/// Whether a head asks for WebSocket, or grants it, and for nothing else beside (RFC 6455, 4).
pub(crate) fn is_websocket(fields: &[Field]) -> bool {
    let mut asked = elements(fields, "upgrade");
    asked.next().is_some_and(|name| name.eq_ignore_ascii_case(b"websocket"))
        && asked.next().is_none()
        && lists(fields, "connection", "upgrade")
}

/// A `Content-Length`: digits, none before them a zero that says nothing.
pub(crate) fn length(value: &[u8]) -> Option<u64> {
    let plain = value.iter().all(u8::is_ascii_digit) && (!value.starts_with(b"0") || value == b"0");
    let length: u64 = std::str::from_utf8(value).ok().filter(|_| plain)?.parse().ok()?;
    // Beyond it some readers take it for less than nothing.
    (length <= u64::MAX / 2).then_some(length)
}

/// `start` and the fields, as they go out.
pub(crate) fn write(start: &[u8], fields: &[Field]) -> Vec<u8> {
    let mut out = [start, b"\r\n"].concat();
    for field in fields {
        out.extend_from_slice(field.name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(&field.value);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
}
