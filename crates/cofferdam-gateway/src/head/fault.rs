//! Why a request's head is refused, and with which status.

use super::{AuthorityFault, LineFault, METHOD_BYTES_MAX, TARGET_BYTES_MAX};

/// Why bytes are no request of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadFault {
    /// A line or a field.
    Line(LineFault),
    /// Not `METHOD target HTTP/1.x` with one space between each.
    StartLine,
    /// No token, or over [`METHOD_BYTES_MAX`].
    Method,
    /// `TRACE` or `TRACK`: an answer would show what was put into the request on its way.
    Echo,
    /// Another version of HTTP, HTTP/2 by prior knowledge too (`PRI * HTTP/2.0`).
    Version,
    /// Over [`TARGET_BYTES_MAX`].
    TargetTooLong,
    /// This byte is in no target: control, not ASCII, or one that servers differ in.
    TargetByte(u8),
    /// No form of a target that this method has.
    TargetForm,
    /// `https://` in the clear: `CONNECT` is the way.
    Https,
    /// Whom the target names.
    Authority(AuthorityFault),
    /// There is no `Host`.
    HostMissing,
    /// There are two.
    HostTwice,
    /// It names nobody.
    Host(AuthorityFault),
    /// It names another host or port than the target.
    HostDiffers,
    /// `Content-Length` twice, or not in plain digits.
    Length,
    /// `Content-Length` and `Transfer-Encoding`.
    TwoFramings,
    /// `Transfer-Encoding` is not `chunked` once, or in HTTP/1.0.
    Coding,
    /// `Transfer-Encoding` has a coding that exists, beside `chunked`.
    CodingUnknown,
    /// `CONNECT` with a body.
    ConnectBody,
    /// `Connection` names no token, or a field that is not for one connection.
    Connection,
}

impl HeadFault {
    /// Stable name for scripts and the log.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Line(fault) => fault.code(),
            Self::StartLine => "http-start-line",
            Self::Method => "http-method",
            Self::Echo => "http-echo",
            Self::Version => "http-version",
            Self::TargetTooLong => "http-target-long",
            Self::TargetByte(_) => "http-target-byte",
            Self::TargetForm => "http-target-form",
            Self::Https => "http-target-https",
            Self::Authority(fault) | Self::Host(fault) => fault.code(),
            Self::HostMissing => "http-host-missing",
            Self::HostTwice => "http-host-twice",
            Self::HostDiffers => "http-host-differs",
            Self::Length => "http-length",
            Self::TwoFramings => "http-two-framings",
            Self::Coding => "http-coding",
            Self::CodingUnknown => "http-coding-unknown",
            Self::ConnectBody => "http-connect-body",
            Self::Connection => "http-connection",
        }
    }

    /// The status of the answer (RFC 9110, 15).
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Line(LineFault::TooLarge | LineFault::TooMany) => 431,
            Self::Echo => 405,
            Self::TargetTooLong => 414,
            Self::CodingUnknown => 501,
            Self::Version => 505,
            Self::Line(
                LineFault::Byte(_)
                | LineFault::BareLf
                | LineFault::BareCr
                | LineFault::Folded
                | LineFault::FieldName,
            )
            | Self::StartLine
            | Self::Method
            | Self::TargetByte(_)
            | Self::TargetForm
            | Self::Https
            | Self::Authority(_)
            | Self::HostMissing
            | Self::HostTwice
            | Self::Host(_)
            | Self::HostDiffers
            | Self::Length
            | Self::TwoFramings
            | Self::Coding
            | Self::ConnectBody
            | Self::Connection => 400,
        }
    }
}

impl std::fmt::Display for HeadFault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(fault) => fault.fmt(out),
            Self::StartLine => out.write_str("the first line is no request of HTTP/1"),
            Self::Method => write!(out, "a method is a token of at most {METHOD_BYTES_MAX} bytes"),
            Self::Echo => out.write_str("a method that echoes the request"),
            Self::Version => out.write_str("another version than HTTP/1.1 and HTTP/1.0"),
            Self::TargetTooLong => write!(out, "a target has at most {TARGET_BYTES_MAX} bytes"),
            Self::TargetByte(byte) => write!(out, "byte 0x{byte:02x} is in no target"),
            Self::TargetForm => out.write_str("the target has no form of this method"),
            Self::Https => out.write_str("`https` in the clear; `CONNECT` is the way"),
            Self::Authority(fault) => write!(out, "target: {fault}"),
            Self::HostMissing => out.write_str("there is no `Host`"),
            Self::HostTwice => out.write_str("`Host` stands there twice"),
            Self::Host(fault) => write!(out, "`Host`: {fault}"),
            Self::HostDiffers => out.write_str("`Host` is not what the target names"),
            Self::Length => out.write_str("`Content-Length` is not one number in digits"),
            Self::TwoFramings => {
                out.write_str("both `Content-Length` and `Transfer-Encoding` are there")
            }
            Self::Coding => out.write_str("`Transfer-Encoding` is not `chunked`, in HTTP/1.1"),
            Self::CodingUnknown => out.write_str("a transfer coding beside `chunked`"),
            Self::ConnectBody => out.write_str("`CONNECT` has no body"),
            Self::Connection => {
                out.write_str("`Connection` names a field that is not for one connection")
            }
        }
    }
}
