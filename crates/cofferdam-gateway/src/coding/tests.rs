use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use super::*;

const TEXT: &[u8] = b"hello hello hello hello, and more of it";
const BR: &str = "1b2600f88dd44ef9c34868cec3e3baa328d29e25080b5b4ad28a3c75003edbba47c198581e";
const ZSTD: &str =
    "28b52ffd2427e50000b068656c6c6f202c20616e64206d6f7265206f662069740100994b11104f2c84";
/// Of a stream: without its size and checksum.
const ZSTD_STREAM: &str =
    "28b52ffd0058e50000b068656c6c6f202c20616e64206d6f7265206f662069740100994b11";
/// 300,000 zeros.
const ZSTD_ZEROS: &str = "28b52ffd04585400001000000100fbff39c00202001000039f04002d28de26";
/// A million zeros.
const BR_ZEROS: &str = "5b3f428f7f02201e0b04f2731e00";

fn bytes(hex: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
    (0..hex.len()).step_by(2).map(byte).collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::new(6));
    out.write_all(text).expect("memory");
    out.finish().expect("memory")
}

fn zlib(text: &[u8]) -> Vec<u8> {
    let mut out = ZlibEncoder::new(Vec::new(), Compression::new(6));
    out.write_all(text).expect("memory");
    out.finish().expect("memory")
}

fn deflate(text: &[u8]) -> Vec<u8> {
    let mut out = DeflateEncoder::new(Vec::new(), Compression::new(6));
    out.write_all(text).expect("memory");
    out.finish().expect("memory")
}

/// The one place that feeds a decoder.
fn decode(coding: &str, pieces: &[&[u8]]) -> Result<Vec<u8>, CodingFault> {
    let mut decoder = Decoder::new(&[coding.as_bytes()])?.expect("something to undo");
    let mut out = Vec::new();
    for piece in pieces {
        let mut rest = *piece;
        loop {
            let before = out.len();
            let step = decoder.feed(rest, &mut out)?;
            assert!(out.len() - before <= 2 * STEP_BYTES, "a step is bounded");
            rest = &rest[step.taken..];
            if rest.is_empty() && !step.more {
                break;
            }
        }
    }
    decoder.finish().map(|()| out)
}

/// Whole, byte by byte and in every two pieces.
#[track_caller]
fn check(coding: &str, body: &[u8], want: Result<&[u8], CodingFault>, why: &str) {
    let want = want.map(<[u8]>::to_vec);
    assert!(decode(coding, &[body]) == want, "{coding}: {why}: {:?}", decode(coding, &[body]));
    let single: Vec<&[u8]> = body.chunks(1).collect();
    assert!(decode(coding, &single) == want, "{coding}, byte by byte: {why}");
    for at in 0..body.len() {
        let (a, b) = body.split_at(at);
        assert!(decode(coding, &[a, b]) == want, "{coding}, cut at {at}: {why}");
    }
}

#[test]
fn names() {
    let new = |values: &[&str]| {
        let values: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
        Decoder::new(&values).map(|decoder| decoder.map_or(0, |decoder| decoder.stages.len()))
    };
    for (values, want, why) in [
        (&[][..], Ok(0), "no field"),
        (&["identity"], Ok(0), "nothing done"),
        (&["", " , "], Ok(0), "empty elements"),
        (&["gzip"], Ok(1), "one"),
        (&[" X-GZip\t"], Ok(1), "its old name; case does not count"),
        (&["deflate, br", "zstd"], Ok(3), "three, in two fields"),
        (&["gzip, gzip, gzip, gzip"], Err(CodingFault::Many), "four"),
        (&["compress"], Err(CodingFault::Unknown), "nobody sends it"),
        (&["gzip;q=1"], Err(CodingFault::Unknown), "no parameters here"),
        (&["dcz"], Err(CodingFault::Unknown), "needs a dictionary"),
    ] {
        assert_eq!(new(values), want, "{values:?}: {why}");
    }
}

#[test]
fn undone() {
    let all_parts = {
        // FEXTRA, FNAME, FCOMMENT and FHCRC.
        let head =
            [b"\x1F\x8B\x08\x1E\0\0\0\0\0\xFF\x02\0ab".as_slice(), b"name\0", b"why\0", b"xx"];
        [&head.concat(), &gzip(TEXT)[10..]].concat()
    };
    let skippable = [b"\x53\x2A\x4D\x18\x03\0\0\0abc".as_slice(), &bytes(ZSTD)].concat();
    let members = [TEXT, TEXT].concat();
    for (coding, body, want, why) in [
        ("gzip", gzip(TEXT), TEXT, "one member"),
        ("x-gzip", gzip(b""), b"", "of nothing"),
        ("gzip", all_parts, TEXT, "with all that a head may have"),
        ("gzip", [gzip(TEXT), gzip(TEXT)].concat(), &members, "two members"),
        ("gzip", [gzip(TEXT), vec![0; 9]].concat(), TEXT, "filled up with zeros"),
        ("deflate", zlib(TEXT), TEXT, "as the standard has it"),
        ("deflate", deflate(TEXT), TEXT, "as some servers have it"),
        ("br", bytes(BR), TEXT, "brotli"),
        ("zstd", bytes(ZSTD), TEXT, "with a checksum"),
        ("zstd", bytes(ZSTD_STREAM), TEXT, "of a stream"),
        ("zstd", skippable, TEXT, "behind a frame to skip"),
        ("zstd", [bytes(ZSTD), bytes(ZSTD_STREAM)].concat(), &members, "two frames"),
        ("zstd", bytes(ZSTD_ZEROS), &vec![0; 300_000], "in three blocks"),
        ("br, gzip", gzip(&bytes(BR)), TEXT, "one within another"),
        ("deflate, gzip, gzip", gzip(&gzip(&zlib(TEXT))), TEXT, "three"),
        ("gzip", Vec::new(), b"", "no body at all"),
    ] {
        check(coding, &body, Ok(want), why);
    }
    let much: Vec<u8> = (0..400_000_u32).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect();
    assert!(decode("gzip", &[&gzip(&much)]) == Ok(much.clone()), "in many steps");
    assert!(decode("deflate, gzip", &[&gzip(&zlib(&much))]) == Ok(much), "of two");
}

#[test]
fn refused() {
    use CodingFault::{Malformed, Trailing, Window};
    let changed = |mut body: Vec<u8>, back: usize| {
        let at = body.len() - back;
        body[at] ^= 1;
        body
    };
    let then = |body: &[u8]| [body, b"<"].concat();
    for (coding, body, want, why) in [
        ("gzip", TEXT.to_vec(), Malformed, "not packed"),
        ("gzip", b"\x1F\x8B\x08\x20\0\0\0\0\0\xFF".to_vec(), Malformed, "a flag without a meaning"),
        ("gzip", changed(gzip(TEXT), 8), Malformed, "another checksum"),
        ("gzip", changed(gzip(TEXT), 1), Malformed, "another length"),
        ("gzip", then(&gzip(TEXT)), Trailing, "more behind it"),
        ("gzip", [gzip(TEXT), b"\0<".to_vec()].concat(), Trailing, "more behind zeros"),
        ("deflate", TEXT.to_vec(), Malformed, "not packed"),
        ("deflate", then(&zlib(TEXT)), Trailing, "more behind it"),
        ("deflate", then(&deflate(TEXT)), Trailing, "more behind it"),
        ("br", vec![0x91, 0x19], Malformed, "a large window, which no browser takes"),
        ("br", then(&bytes(BR)), Trailing, "more behind it"),
        ("zstd", TEXT.to_vec(), Malformed, "not packed"),
        ("zstd", [bytes(ZSTD), b"more".to_vec()].concat(), Trailing, "more behind it"),
        ("zstd", bytes("28b52ffd04886400001000000200e9ff3773e001"), Window, "of 128 MiB"),
        ("zstd", bytes("28b52ffd010058070100"), Window, "with a dictionary"),
        ("zstd", bytes("28b52ffd0858"), Malformed, "a bit without a meaning"),
        ("zstd", bytes("28b52ffd0058070000"), Malformed, "a block of no kind"),
        ("zstd", bytes("28b52ffd0058ffff7f"), Malformed, "a block that is too long"),
    ] {
        check(coding, &body, Err(want), why);
    }
}

#[test]
fn cut_short() {
    let rows = [
        ("gzip", gzip(TEXT)),
        ("deflate", zlib(TEXT)),
        ("deflate", deflate(TEXT)),
        ("br", bytes(BR)),
        ("zstd", bytes(ZSTD)),
        ("zstd", bytes(ZSTD_ZEROS)),
        ("br, gzip", gzip(&bytes(BR))),
    ];
    for (coding, body) in rows {
        for length in 1..body.len() {
            let got = decode(coding, &[&body[..length]]);
            assert!(got == Err(CodingFault::Truncated), "{coding}, {length} bytes: {got:?}");
        }
        assert!(decode(coding, &[&body]).is_ok());
    }
}

#[test]
fn inflation() {
    let zeros = |count: usize| vec![0; count];
    let inflates = Err(CodingFault::Inflates);
    let ok = |coding: &str, body: &[u8], length: usize| {
        assert_eq!(decode(coding, &[body]).map(|out| out.len()), Ok(length), "{coding}");
    };
    ok("gzip", &gzip(&zeros(20_000_000)), 20_000_000);
    ok("br", &bytes(BR_ZEROS), 1_000_000);
    ok("gzip, gzip", &gzip(&gzip(&zeros(1_000_000))), 1_000_000);
    assert_eq!(decode("gzip, gzip", &[&gzip(&gzip(&zeros(20_000_000)))]), inflates);
    // Blocks of four bytes that are 128 KiB each.
    let blocks = [bytes("28b52ffd0038"), bytes("02001000").repeat(12)].concat();
    assert_eq!(decode("zstd", &[&blocks]), inflates);
    let few = [bytes("28b52ffd0038"), bytes("02001000").repeat(7), bytes("03001000")].concat();
    ok("zstd", &few, 8 * 128 * 1_024);
}
