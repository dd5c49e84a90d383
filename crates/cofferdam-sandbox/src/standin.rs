//! A stand-in of the masker's shape until it is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(pub usize);
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encoding {
    Plain,
}
impl Encoding {
    #[must_use]
    pub const fn name(self) -> &'static str {
        "plain"
    }
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub label: Label,
    pub encoding: Encoding,
}
#[derive(Debug)]
pub struct Needles(Vec<(Label, Vec<u8>)>);
impl Needles {
    pub fn new<'b>(needles: impl IntoIterator<Item = (Label, &'b [u8])>) -> Result<Self, String> {
        Ok(Self(needles.into_iter().map(|(label, text)| (label, text.to_vec())).collect()))
    }
}
#[derive(Debug)]
pub struct Masker<'n> {
    needles: &'n Needles,
    held: Vec<u8>,
}
impl<'n> Masker<'n> {
    pub fn new(needles: &'n Needles) -> Self {
        Self { needles, held: Vec::new() }
    }
    pub fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>, found: &mut dyn FnMut(Found)) {
        self.held.extend_from_slice(piece);
        let mut at = 0;
        while at < self.held.len() {
            let rest = self.held.get(at..).unwrap_or_default();
            if let Some((label, needle)) = self.needles.0.iter().find(|n| rest.starts_with(&n.1)) {
                found(Found { label: *label, encoding: Encoding::Plain });
                out.extend_from_slice(b"[redacted]");
                at += needle.len();
            } else if self.needles.0.iter().any(|n| n.1.starts_with(rest)) {
                break;
            } else {
                out.extend(rest.first());
                at += 1;
            }
        }
        self.held.drain(..at);
    }
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
    }
}
