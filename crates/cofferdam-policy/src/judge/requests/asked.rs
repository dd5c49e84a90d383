//! What a rule asks of requests, in little room where that is nothing.

use std::ops::Deref;

use super::Requests;

/// What most rules ask.
const NOTHING: &Requests = &Requests {
    methods: Vec::new(),
    paths: Vec::new(),
    query: None,
    headers: Vec::new(),
    remove_headers: Vec::new(),
    set_headers: Vec::new(),
    max_request_bytes: None,
    max_response_bytes: None,
    rate: None,
    git: Vec::new(),
    graphql: None,
    refuse_body: Vec::new(),
    websocket: false,
    h2c: false,
    credential: None,
};

/// [`Requests`] of a rule, of which there may be ten thousand: one that asks nothing has a word for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked(Option<Box<Requests>>);

impl Asked {
    /// Whether something is asked of requests, so that somebody has to look at them.
    #[must_use]
    pub const fn asks(&self) -> bool {
        self.0.is_some()
    }
}

impl From<Requests> for Asked {
    fn from(requests: Requests) -> Self {
        Self((requests != *NOTHING).then(|| Box::new(requests)))
    }
}

impl Deref for Asked {
    type Target = Requests;

    fn deref(&self) -> &Requests {
        self.0.as_deref().unwrap_or(NOTHING)
    }
}

#[cfg(feature = "json")]
impl serde::Serialize for Asked {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Requests::serialize(self, to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_what_a_rule_without_words_asks() {
        assert_eq!(*NOTHING, Requests::default());
        assert!(!Asked::from(Requests::default()).asks());
        let all: Asked = Requests { websocket: true, ..Requests::default() }.into();
        assert!(all.asks() && all.websocket && all.methods.is_empty());
    }
}
