//! An answer on its way inside, of a host that knows secrets: what it says of one is what stands in for it.
//!
//! What it is coded with is undone, for in coded bytes nobody finds anything; the client gets it plain, in
//! chunks, or to the end of the connection.

use crate::coding::{CodingFault, Decoder, Step};
use crate::fields::{Field, elements};
use crate::scrub::{Pairs, Scrubber};

/// One answer's body.
#[derive(Debug)]
pub(crate) struct Reply {
    scrubber: Scrubber,
    decoder: Option<Box<Decoder>>,
    plain: Vec<u8>,
}

/// Fields that say of a body what does not hold any more.
const OF_BODY: &[&str] =
    &["content-length", "content-encoding", "transfer-encoding", "trailer", "accept-ranges"];

impl Reply {
    /// For a body with these fields in front.
    ///
    /// # Errors
    /// It is coded in a way that nobody here can undo.
    pub(crate) fn new(pairs: &Pairs, fields: &[Field]) -> Result<Self, CodingFault> {
        let codings: Vec<&[u8]> = elements(fields, "content-encoding").collect();
        let decoder = Decoder::new(&codings)?.map(Box::new);
        Ok(Self { scrubber: Scrubber::new(pairs), decoder, plain: Vec::new() })
    }

    /// One step: appends what is to be passed on. To be called again with the rest of the piece, until all
    /// is taken and no more comes.
    ///
    /// # Errors
    /// It is not coded as it says, or inflates.
    pub(crate) fn step(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<Step, CodingFault> {
        let Some(decoder) = &mut self.decoder else {
            self.scrubber.feed(piece, out);
            return Ok(Step { taken: piece.len(), more: false });
        };
        self.plain.clear();
        let step = decoder.feed(piece, &mut self.plain)?;
        self.scrubber.feed(&self.plain, out);
        Ok(step)
    }

    /// The body has ended: appends the rest.
    ///
    /// # Errors
    /// What it is coded with has not.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), CodingFault> {
        self.scrubber.finish(out);
        self.decoder.as_ref().map_or(Ok(()), |decoder| decoder.finish())
    }
}

/// Takes the secrets out of fields.
pub(crate) fn clean(pairs: &Pairs, fields: &mut [Field]) {
    for field in fields {
        if let std::borrow::Cow::Owned(other) = pairs.scrub_whole(&field.value) {
            field.value = other;
        }
    }
}

/// Whether a field says of a body what does not hold for a cleaned one.
pub(crate) fn is_of_body(field: &Field) -> bool {
    OF_BODY.iter().any(|name| field.is(name))
}

/// Fields that go on of an answer to a request for tokens. Each other one may bear a token that nobody knows
/// yet: a cookie, or where to go on.
const WITH_TOKENS: &[&str] = &[
    "cache-control",
    "content-type",
    "date",
    "expires",
    "pragma",
    "request-id",
    "retry-after",
    "www-authenticate",
    "x-request-id",
];

/// Whether a field of an answer to a request for tokens goes on.
pub(crate) fn stays_with_tokens(field: &Field) -> bool {
    WITH_TOKENS.iter().any(|name| field.is(name))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const REAL: &[u8] = b"sk-live-0123456789abcdef";
    const OWN: &[u8] = b"sk-live-cFd7MxQ2v8811223";

    fn reply(fields: &[Field], body: &[u8], cut: usize) -> Result<Vec<u8>, CodingFault> {
        let pairs = Pairs::new(&[(REAL, OWN)]).unwrap();
        let (mut reply, mut all) = (Reply::new(&pairs, fields)?, Vec::new());
        for piece in body.chunks(cut) {
            let mut rest = piece;
            loop {
                let step = reply.step(rest, &mut all)?;
                rest = &rest[step.taken..];
                if rest.is_empty() && !step.more {
                    break;
                }
            }
        }
        reply.finish(&mut all)?;
        Ok(all)
    }

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packer.write_all(text).unwrap();
        packer.finish().unwrap()
    }

    #[test]
    fn what_the_host_says_of_a_secret_is_what_stands_in_for_it() {
        let text = [b"{\"key\": \"".as_slice(), REAL, b"\"}"].concat();
        let want = [b"{\"key\": \"".as_slice(), OWN, b"\"}"].concat();
        let gzip = [Field::new("Content-Encoding", "gzip")];
        for cut in [1, 2, 7, 1000] {
            assert_eq!(reply(&[], &text, cut).unwrap(), want, "plain, in pieces of {cut}");
            assert_eq!(reply(&gzip, &packed(&text), cut).unwrap(), want, "packed, {cut}");
            assert_eq!(reply(&[], b"nothing of it", cut).unwrap(), b"nothing of it");
        }
        let mut fields = [Field::new("Location", "https://x.test/?k=sk-live-0123456789abcdef")];
        clean(&Pairs::new(&[(REAL, OWN)]).unwrap(), &mut fields);
        assert_eq!(fields[0].value, [b"https://x.test/?k=".as_slice(), OWN].concat());
    }

    #[test]
    fn what_cannot_be_undone_is_not_passed_on() {
        let text = [b"text ".as_slice(), REAL].concat();
        let field = |coding| [Field::new("Content-Encoding", coding)];
        for (coding, body, want, why) in [
            ("compress", text.clone(), CodingFault::Unknown, "nobody knows it"),
            ("gzip", text.clone(), CodingFault::Malformed, "it is not that"),
            ("gzip", packed(&text)[..20].to_vec(), CodingFault::Truncated, "it has no end"),
        ] {
            assert_eq!(reply(&field(coding), &body, 5), Err(want), "{why}");
        }
    }
}
