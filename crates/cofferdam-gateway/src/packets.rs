//! Packets of git's smart HTTP: what a push changes, and what a fetch asks (gitprotocol-common(5),
//! gitprotocol-pack(5), gitprotocol-v2(5)).
//!
//! Read as they pass; nothing is written anew. Only the beginning of a body is read: a push's commands
//! before its packfile, a fetch's first packet. What git's own reader would take in another way is
//! refused, above all what it would take more of: signed pushes carry commands of their own.

mod fault;
mod names;
#[cfg(test)]
mod tests;

pub use fault::PacketFault;
pub use names::is_ref;

/// Most refs of one push. A mirror's first push has more; it can be made in parts.
pub const UPDATES_MAX: usize = 1_000;
/// Most push options; git has no bound, hosts know a handful.
pub const OPTIONS_MAX: usize = 100;
/// Longest beginning of a push, to its packfile. Bytes. The most updates with long names fit.
pub const COMMANDS_BYTES_MAX: usize = 512 * 1024;
/// Longest packet with its length: git's own bound (gitprotocol-common(5)). Bytes.
const PACKET_BYTES_MAX: u32 = 65_520;
/// Hexadecimal digits of a packet's length.
const LENGTH_DIGITS: u8 = 4;
/// What a packfile begins with (gitformat-pack(5)).
const PACK: &[u8] = b"PACK";

/// One change that a push asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// Object that the ref names now; zeros where there is no such ref.
    pub old: String,
    /// Object that it is to name; zeros: it is to go.
    pub new: String,
    /// Its whole name, as in `refs/heads/main`; a name by git's own rules.
    pub name: Vec<u8>,
}

impl Update {
    /// Whether the ref is to go.
    #[must_use]
    pub fn deletes(&self) -> bool {
        self.new.bytes().all(|digit| digit == b'0')
    }
}

/// How many of the bytes belong to what is read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fed {
    /// From the start. Bytes.
    pub taken: usize,
    /// Whether it has ended there.
    pub done: bool,
}

/// What a fetch asks for with its first packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetches {
    /// Objects, in version 0 or 1.
    Wants,
    /// Names of refs, in version 2.
    LsRefs,
    /// Objects, in version 2.
    Fetch,
    /// Sizes of objects, in version 2.
    ObjectInfo,
    /// Nothing: a flush, by which git tries credentials before a long body.
    Nothing,
}

/// One packet.
#[derive(Debug, PartialEq, Eq)]
enum Packet {
    /// `0000`.
    Flush,
    /// Bytes, without the line feed that may end them.
    Line(Vec<u8>),
}

/// Packets out of bytes.
#[derive(Debug, Default)]
struct Lines {
    /// Digits read of the next length, and their value.
    digits: u8,
    length: u32,
    /// The packet so far, where its length is known.
    line: Option<Vec<u8>>,
    /// Bytes read in all.
    total: usize,
}

impl Lines {
    /// The packet that ends with these bytes, and how many of them were read.
    fn next(&mut self, bytes: &[u8]) -> Result<(usize, Option<Packet>), PacketFault> {
        let mut at = 0;
        while let Some(byte) = bytes.get(at).copied() {
            if let Some(line) = &mut self.line {
                let missing = usize::try_from(self.length).unwrap_or(0).saturating_sub(line.len());
                let rest = bytes.get(at..).unwrap_or_default();
                let part = rest.get(..missing).unwrap_or(rest);
                line.extend_from_slice(part);
                at += part.len();
                if part.len() < missing {
                    break;
                }
                let line = self.line.take().unwrap_or_default();
                (self.digits, self.length) = (0, 0);
                let line = line.strip_suffix(b"\n").map(<[u8]>::to_vec).unwrap_or(line);
                return Ok((at, Some(Packet::Line(line))));
            }
            let digit = char::from(byte).to_digit(16).ok_or(PacketFault::Length)?;
            self.length = self.length << 4 | digit;
            self.digits += 1;
            at += 1;
            if self.digits == LENGTH_DIGITS && self.begin()? {
                self.digits = 0;
                return Ok((at, Some(Packet::Flush)));
            }
        }
        Ok((at, None))
    }

    /// After a length: whether it is a flush. Else the packet's bytes follow.
    fn begin(&mut self) -> Result<bool, PacketFault> {
        self.total += usize::try_from(self.length).unwrap_or(usize::MAX).max(4);
        if self.total > COMMANDS_BYTES_MAX {
            return Err(PacketFault::TooLong);
        }
        match self.length {
            0 => Ok(true),
            // Delimiter and end of answer have no place in what is read here; 0003 is reserved, and
            // an empty packet is one that nobody should send.
            1..=4 => Err(PacketFault::Length),
            5..=PACKET_BYTES_MAX => {
                self.length -= u32::from(LENGTH_DIGITS);
                self.line = Some(Vec::new());
                Ok(false)
            }
            _ => Err(PacketFault::Length),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first update; `shallow` may stand here.
    First,
    /// After it.
    Updates,
    /// After the flush that ends them.
    Options,
    /// This many bytes of `PACK` were read.
    Pack(usize),
    /// The packfile is under way, or there is none.
    Done,
    /// It was refused; nothing more is taken.
    Refused(PacketFault),
}

/// The beginning of a request to `git-receive-pack`.
#[derive(Debug)]
pub struct Push {
    lines: Lines,
    state: State,
    updates: Vec<Update>,
    options: Vec<Vec<u8>>,
    has_options: bool,
}

impl Default for Push {
    fn default() -> Self {
        Self::new()
    }
}

impl Push {
    /// Before the first byte of the body.
    #[must_use]
    pub fn new() -> Self {
        Self {
            lines: Lines::default(),
            state: State::First,
            updates: Vec::new(),
            options: Vec::new(),
            has_options: false,
        }
    }

    /// What the push changes; all of it once [`Push::feed`] says `done`. None: git tries credentials.
    #[must_use]
    pub fn updates(&self) -> &[Update] {
        &self.updates
    }

    /// Its options, for hooks of the host.
    #[must_use]
    pub fn options(&self) -> &[Vec<u8>] {
        &self.options
    }

    /// Whether a packfile follows. Where none does, the body ends where `done` was said.
    #[must_use]
    pub fn has_pack(&self) -> bool {
        self.updates.iter().any(|update| !update.deletes())
    }

    /// Reads the bytes that come next, up to the packfile's first four.
    ///
    /// # Errors
    /// They are no push, now and for ever. None of them may be sent.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Fed, PacketFault> {
        match self.step(bytes) {
            Ok(fed) => Ok(fed),
            Err(fault) => {
                self.state = State::Refused(fault);
                Err(fault)
            }
        }
    }

    fn step(&mut self, bytes: &[u8]) -> Result<Fed, PacketFault> {
        let mut at = 0;
        loop {
            match self.state {
                State::Refused(fault) => return Err(fault),
                State::Done => return Ok(Fed { taken: at, done: true }),
                State::Pack(read) => {
                    let Some(byte) = bytes.get(at) else { break };
                    if PACK.get(read) != Some(byte) {
                        return Err(PacketFault::Pack);
                    }
                    at += 1;
                    let is_whole = read + 1 == PACK.len();
                    self.state = if is_whole { State::Done } else { State::Pack(read + 1) };
                }
                State::First | State::Updates | State::Options => {
                    let rest = bytes.get(at..).unwrap_or_default();
                    let (taken, packet) = self.lines.next(rest)?;
                    at += taken;
                    match packet {
                        None => break,
                        Some(Packet::Flush) => self.state = self.flushed(),
                        Some(Packet::Line(line)) => self.line(&line)?,
                    }
                }
            }
        }
        Ok(Fed { taken: at, done: false })
    }

    /// The state after a flush.
    fn flushed(&self) -> State {
        match self.state {
            State::Updates if self.has_options => State::Options,
            State::Updates | State::Options if self.has_pack() => State::Pack(0),
            // Nothing but a flush tries credentials, and nothing but deletions has no packfile.
            State::First | State::Updates | State::Options => State::Done,
            state @ (State::Pack(_) | State::Done | State::Refused(_)) => state,
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), PacketFault> {
        if self.state == State::Options {
            let is_text = line.iter().all(|byte| !matches!(byte, 0 | b'\n'));
            if !is_text || self.options.len() == OPTIONS_MAX {
                return Err(PacketFault::Option);
            }
            self.options.push(line.to_vec());
            return Ok(());
        }
        let is_first = self.state == State::First;
        if let Some(id) = line.strip_prefix(b"shallow ").filter(|_| is_first) {
            return object(id).map(drop).ok_or(PacketFault::Object);
        }
        if line.starts_with(b"push-cert") {
            return Err(PacketFault::Signed);
        }
        // Git reads capabilities after the NUL of any command. They stand after the first one's.
        let mut parts = line.splitn(2, |byte| *byte == 0);
        let command = parts.next().unwrap_or_default();
        let bits = match (parts.next(), self.updates.first()) {
            (Some(names), None) => self.capabilities(names)?,
            (Some(_), Some(_)) => return Err(PacketFault::Capability),
            (None, None) => SHA1_DIGITS,
            (None, Some(first)) => first.old.len(),
        };
        let update = update(command, bits)?;
        if self.updates.len() == UPDATES_MAX {
            return Err(PacketFault::TooMany);
        }
        if self.updates.iter().any(|other| other.name == update.name) {
            return Err(PacketFault::Twice);
        }
        self.updates.push(update);
        self.state = State::Updates;
        Ok(())
    }

    /// What the client wants of the server; how many digits an object's name has.
    fn capabilities(&mut self, names: &[u8]) -> Result<usize, PacketFault> {
        let mut digits = None;
        for name in names.split(|byte| *byte == b' ').filter(|name| !name.is_empty()) {
            if !name.iter().all(u8::is_ascii_graphic) {
                return Err(PacketFault::Capability);
            }
            let format = match name.strip_prefix(b"object-format=") {
                None => None,
                Some(b"sha1") => Some(SHA1_DIGITS),
                Some(b"sha256") => Some(SHA256_DIGITS),
                Some(_) => return Err(PacketFault::Capability),
            };
            if format.is_some() && digits.replace(format).is_some() {
                return Err(PacketFault::Capability);
            }
            self.has_options |= name == b"push-options";
            if name.starts_with(b"push-cert") {
                return Err(PacketFault::Signed);
            }
        }
        Ok(digits.flatten().unwrap_or(SHA1_DIGITS))
    }
}

/// Digits of an object's name.
const SHA1_DIGITS: usize = 40;
/// The same in a repository of SHA-256.
const SHA256_DIGITS: usize = 64;

/// The first packet of a request to `git-upload-pack`.
#[derive(Debug, Default)]
pub struct Fetch {
    lines: Lines,
    found: Option<Result<Fetches, PacketFault>>,
}

impl Fetch {
    /// Before the first byte of the body.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What is asked for; `None` while the packet is not whole.
    #[must_use]
    pub fn asks(&self) -> Option<Fetches> {
        self.found.and_then(Result::ok)
    }

    /// Reads the bytes that come next, up to the end of the first packet.
    ///
    /// # Errors
    /// It is no fetch, now and for ever. None of the bytes may be sent.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Fed, PacketFault> {
        let mut taken = 0;
        if self.found.is_none() {
            match self.lines.next(bytes) {
                Ok((read, packet)) => {
                    taken = read;
                    self.found = packet.map(|packet| fetches(&packet));
                }
                Err(fault) => self.found = Some(Err(fault)),
            }
        }
        match self.found {
            Some(Err(fault)) => Err(fault),
            Some(Ok(_)) => Ok(Fed { taken, done: true }),
            None => Ok(Fed { taken, done: false }),
        }
    }
}

fn fetches(packet: &Packet) -> Result<Fetches, PacketFault> {
    let line = match packet {
        Packet::Flush => return Ok(Fetches::Nothing),
        Packet::Line(line) => line,
    };
    match line.as_slice() {
        b"command=ls-refs" => return Ok(Fetches::LsRefs),
        b"command=fetch" => return Ok(Fetches::Fetch),
        b"command=object-info" => return Ok(Fetches::ObjectInfo),
        _ => {}
    }
    let wanted = line.strip_prefix(b"want ").ok_or(PacketFault::Command)?;
    let mut words = wanted.split(|byte| *byte == b' ');
    let is_object = words.next().is_some_and(|id| object(id).is_some());
    if !is_object {
        return Err(PacketFault::Object);
    }
    // What the client wants of the server; some begin it with two blanks.
    if words.all(|word| word.iter().all(u8::is_ascii_graphic)) {
        Ok(Fetches::Wants)
    } else {
        Err(PacketFault::Capability)
    }
}

/// `old new name`, with one blank between each.
fn update(command: &[u8], digits: usize) -> Result<Update, PacketFault> {
    let mut words = command.splitn(3, |byte| *byte == b' ');
    let (Some(old), Some(new), Some(name)) = (words.next(), words.next(), words.next()) else {
        return Err(PacketFault::Command);
    };
    let of_length = |id: &&str| id.len() == digits;
    let (old, new) = (object(old).filter(of_length), object(new).filter(of_length));
    let (Some(old), Some(new)) = (old, new) else { return Err(PacketFault::Object) };
    if !is_ref(name) {
        return Err(PacketFault::Ref);
    }
    let update = Update { old: old.into(), new: new.into(), name: name.into() };
    // Neither was nor will be: git's client never asks for it.
    if update.deletes() && update.old == update.new {
        return Err(PacketFault::Object);
    }
    Ok(update)
}

/// An object's name, in git's own spelling: small letters.
fn object(id: &[u8]) -> Option<&str> {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let fits = matches!(id.len(), SHA1_DIGITS | SHA256_DIGITS) && id.iter().all(is_digit);
    std::str::from_utf8(id).ok().filter(|_| fits)
}
