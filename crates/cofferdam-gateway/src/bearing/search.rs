//! What must not go out, looked for in everything that a request carries: what stands in for credentials,
//! of whatever session, and what a person planted.

use cofferdam_audit::redact::{Finder, Found, Label, NeedleFault, Needles};
use cofferdam_policy::credentials::{MARKS, is_marked};
use cofferdam_policy::output::Canary;

use crate::coding::Decoder;
use crate::content::Unread;
use crate::fields::{Field, elements};
use crate::frames::Of;

/// What a find is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    /// It stands in for this credential.
    StandIn(String),
    /// It stands in for one, of this session or of another.
    Mark,
    /// It was planted under this name.
    Canary(String),
}

/// Where in a request something is, as it is told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    /// This is said of it.
    Is(&'a str),
    /// The value of a header.
    Header(&'a str),
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Is(said) => out.write_str(said),
            Self::Header(name) => write!(out, "the header `{name}`"),
        }
    }
}

/// Everything that is looked for.
#[derive(Debug)]
pub(crate) struct Wanted {
    needles: Needles,
    /// The same as names of hosts have them: in small letters.
    names: Needles,
    /// What each label is.
    whats: Vec<What>,
}

impl Wanted {
    /// For these credentials, by name and stand-in, and these canaries; `None` where there is neither.
    ///
    /// # Errors
    /// A canary that nobody could look for.
    pub(crate) fn new<'a>(
        stand_ins: impl Iterator<Item = (&'a str, &'a str)>,
        canaries: &[Canary],
    ) -> Result<Option<Self>, NeedleFault> {
        let mut all: Vec<(What, &[u8])> = Vec::new();
        let mut any = !canaries.is_empty();
        for (name, stand_in) in stand_ins {
            any = true;
            if !is_marked(stand_in) {
                all.push((What::StandIn(name.into()), stand_in.as_bytes()));
            }
        }
        if !any {
            return Ok(None);
        }
        all.extend(MARKS.iter().map(|mark| (What::Mark, mark.as_bytes())));
        let planted = canaries.iter();
        all.extend(planted.map(|one| (What::Canary(one.name.clone()), one.text.as_bytes())));
        let labelled = all.iter().enumerate().map(|(at, (_, bytes))| (Label(at), *bytes));
        let needles = Needles::new(labelled)?;
        let small: Vec<_> = all.iter().map(|(_, bytes)| bytes.to_ascii_lowercase()).collect();
        let small = small.iter().enumerate().map(|(at, bytes)| (Label(at), bytes.as_slice()));
        let names = Needles::new(small)?;
        let whats = all.into_iter().map(|(what, _)| what).collect();
        Ok(Some(Self { needles, names, whats }))
    }

    /// What is told of a find, in a part of the request.
    fn told(&self, label: Label, place: &str) -> Unread {
        match self.whats.get(label.0) {
            Some(What::Canary(name)) => ("canary", format!("the canary `{name}` is in {place}")),
            Some(What::StandIn(name)) => {
                let why =
                    format!("what stands in for `{name}` is in {place}, where it has no business");
                ("stand-in-astray", why)
            }
            Some(What::Mark) | None => {
                let why = format!(
                    "what stands in for a credential is in {place}, where it has no business"
                );
                ("stand-in-astray", why)
            }
        }
    }

    /// Looks through the name of a host, also over its dots.
    ///
    /// # Errors
    /// It holds something that must not go out: who serves names there would read it.
    pub(crate) fn look_at_name(&self, name: &str) -> Result<(), Unread> {
        let whole = name.to_ascii_lowercase();
        let joined = whole.replace('.', "");
        let found =
            [&whole, &joined].into_iter().find_map(|name| self.names.first_in(name.as_bytes()));
        match found {
            Some(found) => Err(self.told(found.label, "the host's name")),
            None => Ok(()),
        }
    }

    /// Looks through one whole thing.
    ///
    /// # Errors
    /// It holds something that must not go out.
    pub(crate) fn look(&self, bytes: &[u8], place: &str) -> Result<(), Unread> {
        match self.needles.first_in(bytes) {
            Some(found) => Err(self.told(found.label, place)),
            None => Ok(()),
        }
    }

    /// Looks through whole things, each by itself: at all of them at once first, since nothing is in them as
    /// a rule.
    ///
    /// # Errors
    /// One holds something that must not go out.
    pub(crate) fn look_at<'a>(
        &self,
        mut all: impl Iterator<Item = (&'a [u8], Place<'a>)> + Clone,
    ) -> Result<(), Unread> {
        if self.needles.pass(all.clone().map(|(bytes, _)| bytes)) {
            return Ok(());
        }
        let found = all.find_map(|(bytes, place)| Some((self.needles.first_in(bytes)?, place)));
        match found {
            Some((found, place)) => Err(self.told(found.label, &place.to_string())),
            None => Ok(()),
        }
    }
}

/// One body, while it passes.
#[derive(Debug)]
pub(crate) struct Search {
    wanted: &'static Wanted,
    finder: Finder<'static>,
    /// Undoes what the body is coded with.
    decoder: Option<Box<Decoder>>,
    decoded: Vec<u8>,
}

impl Search {
    /// For a body with these fields in front.
    ///
    /// # Errors
    /// It is coded in a way that nobody here can undo.
    pub(crate) fn new(wanted: &'static Wanted, fields: &[Field]) -> Result<Self, Unread> {
        // Amazon's chunks frame a body as it is, and are signed as such.
        let is_coded = |coding: &&[u8]| !coding.eq_ignore_ascii_case(b"aws-chunked");
        let codings: Vec<&[u8]> = elements(fields, "content-encoding").filter(is_coded).collect();
        let decoder = Decoder::new(&codings).map_err(|fault| (fault.code(), fault.to_string()))?;
        let (finder, decoder) = (Finder::new(&wanted.needles), decoder.map(Box::new));
        Ok(Self { wanted, finder, decoder, decoded: Vec::new() })
    }

    /// The bytes that come next, without what frames them.
    ///
    /// # Errors
    /// They hold what must not go out: none of them goes on.
    pub(crate) fn feed(&mut self, piece: &[u8]) -> Result<(), Unread> {
        let Some(decoder) = &mut self.decoder else {
            return found(self.wanted, self.finder.feed(piece));
        };
        let mut rest = piece;
        loop {
            self.decoded.clear();
            let step = decoder.feed(rest, &mut self.decoded);
            let step = step.map_err(|fault| (fault.code(), fault.to_string()))?;
            rest = rest.get(step.taken..).unwrap_or_default();
            found(self.wanted, self.finder.feed(&self.decoded))?;
            if rest.is_empty() && !step.more {
                return Ok(());
            }
        }
    }

    /// All of it was there.
    ///
    /// # Errors
    /// As of [`Search::feed`]; or what is coded has no end.
    pub(crate) fn end(&mut self) -> Result<(), Unread> {
        if let Some(decoder) = &mut self.decoder {
            decoder.finish().map_err(|fault| (fault.code(), fault.to_string()))?;
        }
        found(self.wanted, self.finder.finish())
    }
}

/// Messages of a WebSocket, while they pass: each by itself, however it is cut into frames.
#[derive(Debug)]
pub(crate) struct Messages {
    wanted: &'static Wanted,
    finder: Finder<'static>,
    /// The control frame that comes, also in the middle of a message.
    control: Vec<u8>,
}

impl Messages {
    pub(crate) fn new(wanted: &'static Wanted) -> Self {
        Self { wanted, finder: Finder::new(&wanted.needles), control: Vec::new() }
    }

    /// The bytes that come next, not masked.
    ///
    /// # Errors
    /// They hold what must not go out: none of them goes on.
    pub(crate) fn feed(&mut self, of: Of, piece: &[u8]) -> Result<(), Unread> {
        match of {
            Of::Message => told(self.wanted, self.finder.feed(piece), MESSAGE),
            // It has at most 125 bytes.
            Of::Control => {
                self.control.extend_from_slice(piece);
                Ok(())
            }
        }
    }

    /// It has ended.
    ///
    /// # Errors
    /// As of [`Messages::feed`].
    pub(crate) fn end(&mut self, of: Of) -> Result<(), Unread> {
        match of {
            Of::Message => {
                let last = self.finder.finish();
                self.finder = Finder::new(&self.wanted.needles);
                told(self.wanted, last, MESSAGE)
            }
            Of::Control => {
                let looked = self.wanted.look(&self.control, "a control frame of a WebSocket");
                self.control.clear();
                looked
            }
        }
    }
}

/// Where it is found, as it is told.
const MESSAGE: &str = "a message of a WebSocket";

fn found(wanted: &Wanted, found: Option<Found>) -> Result<(), Unread> {
    told(wanted, found, "its body")
}

fn told(wanted: &Wanted, found: Option<Found>, place: &str) -> Result<(), Unread> {
    match found {
        Some(found) => Err(wanted.told(found.label, place)),
        None => Ok(()),
    }
}
