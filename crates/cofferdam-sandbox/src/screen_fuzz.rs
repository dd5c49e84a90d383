//! Random output, made of what matters to the parser: it is followed the same however it is cut,
//! needs no memory to speak of, and what it is left with does not grow.

use super::*;

/// Pieces of sequences, whole and broken.
const PIECES: &[&[u8]] = &[
    b"\x1b",
    b"[",
    b"]",
    b"P",
    b"_",
    b"\\",
    b"?",
    b">",
    b"=",
    b"<",
    b";",
    b":",
    b" ",
    b"$",
    b"!",
    b"0",
    b"1",
    b"25",
    b"1049",
    b"2004",
    b"6",
    b"h",
    b"l",
    b"m",
    b"n",
    b"c",
    b"r",
    b"q",
    b"t",
    b"u",
    b"p",
    b"\x07",
    b"\x18",
    b"\x1a",
    b"\x05",
    b"\x0e",
    b"\x0f",
    b"\x7f",
    b"\n",
    b"\xc2",
    b"\x9b",
    b"\x9d",
    b"\x9c",
    b"\xe2\x82\xac",
    b"(",
    b"B",
    b"text",
    b"\x1b[?1049h",
    b"\x1b[6n",
    b"\x1b]0;title\x07",
    b"\x1b]52;c;?\x1b\\",
    b"\x1bP+q544e\x1b\\",
    b"\x1b[31m",
    b"\x1bc",
];

/// xorshift64*, seeded: each run is the same.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(high).unwrap_or_default() % bound
    }

    fn output(&mut self) -> Vec<u8> {
        let pieces = (0..self.below(40)).map(|_| PIECES[self.below(PIECES.len())]);
        let mut bytes = pieces.collect::<Vec<_>>().concat();
        if self.below(4) == 0 && !bytes.is_empty() {
            let at = self.below(bytes.len());
            bytes[at] = u8::try_from(self.below(256)).unwrap();
        }
        bytes
    }
}

fn seen(screen: &Screen) -> (bool, usize, Vec<u8>) {
    (screen.asked(), screen.who(), screen.leave())
}

#[test]
fn random_output_is_followed_however_it_is_cut() {
    let mut random = Random(0x00C0_FFEE_DA4D_0001);
    let (mut asked, mut changed) = (0, 0);
    for _ in 0..100_000 {
        let (output, utf8) = (random.output(), random.below(2) == 0);
        let mut whole = Screen::new(utf8);
        whole.follow(&output);
        let mut parts = Screen::new(utf8);
        let mut rest = output.as_slice();
        while !rest.is_empty() {
            let (first, after) = rest.split_at(1 + random.below(rest.len()));
            parts.follow(first);
            rest = after;
        }
        assert_eq!(seen(&whole), seen(&parts), "{:?}", String::from_utf8_lossy(&output));
        asked += usize::from(whole.asked());
        changed += usize::from(!whole.leave().is_empty());
        // What takes it back ends every sequence, and leaves nothing to take back again.
        let back = whole.leave();
        assert!(back.len() < 2_000, "{back:?}");
        let mut after = Screen::new(utf8);
        after.follow(&back);
        after.follow(b"plain");
        let again: Vec<u8> = after.leave();
        assert!(again.len() <= back.len(), "{back:?} leaves {again:?}");
    }
    assert!(asked > 10_000 && changed > 10_000, "{asked} {changed}");
}
