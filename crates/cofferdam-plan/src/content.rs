//! What is in a file of our own.

/// What is in a file of our own.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// Made with the plan.
    Text(String),
    /// Made when the plan was completed ([`crate::Plan::completed`]).
    Bytes(Vec<u8>),
    /// Made later: it needs the authority of the session, whose key is made in the gateway.
    Later(Trusted),
    /// The configuration of a bundle, made when the plan was completed: its variables are.
    Bundle(Box<crate::gvisor::Bundle>),
    /// A text with `{NAME}` where what stands in for that credential goes, which the gateway makes.
    Holds(String),
}

/// A file that says whom the workload's programs believe, where the gateway looks into TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Trusted {
    /// The system's authorities, those of `network.trust_ca`, and the session's own (PEM, RFC 7468).
    Everybody,
    /// The session's own alone, for what adds it to a list of its own (PEM).
    Session,
    /// All of [`Trusted::Everybody`] in the form of Java's (JKS).
    Java,
}

impl Trusted {
    /// Its name in our corner of the root.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Everybody => "ca-certificates.crt",
            Self::Session => "session-ca.crt",
            Self::Java => "cacerts",
        }
    }

    /// All of them.
    pub const EACH: [Self; 3] = [Self::Everybody, Self::Session, Self::Java];
}

impl Content {
    /// The bytes; none where they are made later. The wire form of such a plan cannot be read, so none
    /// of them becomes an empty file.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
            Self::Later(_) | Self::Holds(_) | Self::Bundle(_) => &[],
        }
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// As records show it: certificates by their length.
impl std::fmt::Debug for Content {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => text.fmt(out),
            Self::Bytes(bytes) => write!(out, "{} bytes", bytes.len()),
            Self::Later(what) => write!(out, "Later({what:?})"),
            Self::Holds(text) => write!(out, "Holds({text:?})"),
            Self::Bundle(bundle) => bundle.fmt(out),
        }
    }
}

#[cfg(feature = "json")]
impl serde::Serialize for Content {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => to.serialize_str(text),
            Self::Bytes(bytes) => to.serialize_str(&format!("({} bytes)", bytes.len())),
            Self::Later(what) => to.serialize_newtype_variant("Content", 2, "later", what),
            Self::Holds(text) => to.serialize_newtype_variant("Content", 3, "holds", text),
            Self::Bundle(bundle) => to.serialize_newtype_variant("Content", 4, "bundle", bundle),
        }
    }
}
