//! Why a request does not bear this session's identity alone.

/// What is wrong with which part. The part is told by its name, never by what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// The field or parameter: printable, at most 64 bytes.
    pub carrier: String,
    /// What is wrong.
    pub kind: Kind,
}

/// What is wrong with a part that bears an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The credential's place is empty.
    Missing,
    /// It is there twice.
    Twice,
    /// It holds something else than the session's stand-in.
    Other,
    /// There is another part that bears one, or may.
    Additional,
}

impl Foreign {
    /// Stable name for scripts and the log.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self.kind {
            Kind::Missing => "foreign-missing",
            Kind::Twice => "foreign-twice",
            Kind::Other => "foreign-other",
            Kind::Additional => "foreign-additional",
        }
    }
}

impl std::fmt::Display for Foreign {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let carrier = &self.carrier;
        match self.kind {
            Kind::Missing => write!(out, "`{carrier}` does not bear this session's stand-in"),
            Kind::Twice => write!(out, "`{carrier}` is there twice"),
            Kind::Other => {
                write!(out, "`{carrier}` holds something else than this session's stand-in")
            }
            Kind::Additional => write!(out, "`{carrier}` may bear another identity"),
        }
    }
}
