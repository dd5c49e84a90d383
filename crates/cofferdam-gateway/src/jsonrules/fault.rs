//! Why a body in JSON is refused.

/// Why a body does not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonFault {
    /// No JSON in UTF-8, or over 128 deep.
    Syntax,
    /// A member stands there twice, or twice to some reader where one is replaced.
    Twice,
    /// A name holds a byte 0, where some readers end it.
    Name,
    /// There is what a rule refuses.
    Found {
        /// The rule's pattern, as it is written there.
        pattern: String,
    },
    /// It says that it is something else than JSON in UTF-8, nothing, or two things.
    Type,
    /// It is coded.
    Coded,
    /// Over [`super::VALUES_MAX`] values.
    Many,
    /// The member that holds the stand-in is not there.
    Absent,
    /// It is no text.
    Kind,
    /// It is another text than the stand-in.
    Other,
    /// What is to stand there is no text in UTF-8.
    Real,
}

impl JsonFault {
    /// Stable name for scripts and the log.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Syntax => "json-syntax",
            Self::Twice => "json-twice",
            Self::Name => "json-name",
            Self::Found { .. } => "json-refused-member",
            Self::Type => "json-type",
            Self::Coded => "json-coded",
            Self::Many => "json-many",
            Self::Absent => "json-absent",
            Self::Kind => "json-kind",
            Self::Other => "json-other",
            Self::Real => "json-secret",
        }
    }
}

impl std::fmt::Display for JsonFault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Syntax => "the body is not JSON that all readers read alike",
            Self::Twice => "a member of the JSON stands there twice",
            Self::Name => "a member's name in the JSON holds a byte 0",
            Self::Found { pattern } => {
                return write!(out, "the body has what the rule refuses: `{pattern}`");
            }
            Self::Type => {
                "the rule lets through bodies that say once that they are `application/json`"
            }
            Self::Coded => "the body is coded, and the rule asks what is in it",
            Self::Many => "the JSON has more values than are looked through",
            Self::Absent => "the member that bears the credential is not in the body",
            Self::Kind => "the member that bears the credential is no text",
            Self::Other => "the member that bears the credential is not this session's stand-in",
            Self::Real => "the secret is no text in UTF-8, so JSON cannot bear it",
        })
    }
}
