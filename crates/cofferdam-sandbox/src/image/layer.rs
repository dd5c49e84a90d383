//! A layer: verified while it is read, unpacked within bounds, its names checked before one is written.

use std::cell::RefCell;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;
use sha2::{Digest as _, Sha256};

use super::Fault;
use super::layout::{Bounds, Layer, Layout, Section, hex};
use super::name::{self, Name};
use super::tar::{Header, Kind, Source, Tar};

/// Nothing that is worth reading is packed closer, from this length on.
const RATIO_MAX: u64 = 200;
const RATIO_FROM_BYTES: u64 = 256 << 20;
/// Longest distance that zstd looks back, its own highest level's. Bytes.
const WINDOW_BYTES_MAX: u64 = 128 << 20;
/// Longest text of a link (`symlink(7)`). Bytes.
const LINK_BYTES_MAX: usize = 4_095;
/// What is read at once. Bytes.
const PIECE_BYTES: usize = 128 << 10;

/// How a layer is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    None,
    Gzip,
    Zstd,
}

impl Packing {
    /// By the media type of a layer (image-spec, "Image Layer Filesystem Changeset").
    pub(super) fn of_media(media: &str) -> Result<Self, Fault> {
        let rest = media
            .strip_prefix("application/vnd.oci.image.layer.v1.")
            .or_else(|| media.strip_prefix("application/vnd.oci.image.layer.nondistributable.v1."))
            .or_else(|| media.strip_prefix("application/vnd.docker.image.rootfs.diff."));
        match rest {
            Some("tar") => Ok(Self::None),
            Some("tar+gzip" | "tar.gzip") => Ok(Self::Gzip),
            Some("tar+zstd" | "tar.zstd") => Ok(Self::Zstd),
            Some(_) | None => {
                let media: String = media.chars().take(80).collect();
                let media = media.escape_debug();
                Err(Fault::Broken(format!("nobody here unpacks a layer of the type `{media}`")))
            }
        }
    }
}

/// What was read so far.
struct Seen {
    hash: Sha256,
    bytes: u64,
}

/// Bytes on their way to a decoder, hashed.
pub(super) struct Hashed<R> {
    from: R,
    seen: Rc<RefCell<Seen>>,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(into)?;
        let mut seen = self.seen.borrow_mut();
        seen.hash.update(into.get(..count).unwrap_or_default());
        seen.bytes = seen.bytes.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        Ok(count)
    }
}

/// Unpacked bytes, at most as many as there may be.
pub(super) struct Bounded<'b, R> {
    from: R,
    packed: u64,
    unpacked: u64,
    bounds: &'b mut Bounds,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(into)?;
        let read = u64::try_from(count).unwrap_or(u64::MAX);
        self.unpacked = self.unpacked.saturating_add(read);
        let large = |what: String| Err(io::Error::other(Fault::TooLarge(what)));
        let Some(left) = self.bounds.bytes.checked_sub(read) else {
            return large("more bytes than are unpacked of one image".into());
        };
        self.bounds.bytes = left;
        let most = self.packed.saturating_mul(RATIO_MAX).max(RATIO_FROM_BYTES);
        if self.unpacked > most {
            return large(format!("{} bytes hold more than {most}", self.packed));
        }
        Ok(count)
    }
}

impl<R: Read> Source for Bounded<'_, R> {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let passed = io::copy(&mut self.take(bytes), &mut io::sink())?;
        if passed == bytes { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

/// What `from`, of `packed` bytes, holds.
pub(super) fn opened<'b, 'r>(
    from: impl Read + 'r,
    packing: Packing,
    packed: u64,
    bounds: &'b mut Bounds,
) -> Result<Bounded<'b, Box<dyn Read + 'r>>, Fault> {
    let from = BufReader::with_capacity(PIECE_BYTES, from);
    let from: Box<dyn Read + 'r> = match packing {
        Packing::None => Box::new(from),
        Packing::Gzip => Box::new(MultiGzDecoder::new(from)),
        Packing::Zstd => {
            let decoder = StreamingDecoder::new_with_max_window_size(from, WINDOW_BYTES_MAX);
            let broken = |error| Fault::Broken(format!("zstd: {error}"));
            Box::new(OneFrame(decoder.map_err(broken)?))
        }
    };
    Ok(Bounded { from, packed, unpacked: 0, bounds })
}

/// A frame of zstd; the decoder ends with the first, and what comes behind it would be passed over.
struct OneFrame<R: Read>(StreamingDecoder<R, ruzstd::decoding::FrameDecoder>);

impl<R: Read> Read for OneFrame<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(into)?;
        if count == 0 && !into.is_empty() && self.0.get_mut().read(&mut [0])? != 0 {
            return Err(io::Error::other(Fault::broken("zstd: more than one frame")));
        }
        Ok(count)
    }
}

/// An entry that may be made.
pub(super) struct Entry {
    /// Below the root, not the root itself.
    pub(super) path: PathBuf,
    pub(super) what: What,
    /// Permission bits, 0o777 at most.
    pub(super) mode: u32,
    /// Seconds since 1970.
    pub(super) mtime: u64,
}

/// What it is.
pub(super) enum What {
    File {
        size: u64,
    },
    Directory,
    /// Its text, which leads where it leads: nobody here follows it.
    Link(PathBuf),
    /// Another name of a file below the root.
    HardLink(PathBuf),
}

/// What a layer takes away of those below it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) names: Vec<PathBuf>,
    pub(super) emptied: Vec<PathBuf>,
}

/// Reads a whole layer, and writes nothing: every name and every bound is checked, and at the end that it is
/// the blob which its digest says. Gives what it takes away.
pub(super) fn scan(layout: &Layout, layer: &Layer, bounds: &mut Bounds) -> Result<Taken, Fault> {
    let mut taken = Taken::default();
    walk(layout, layer, bounds, |found, _| {
        match found {
            Found::Entry(_) => {}
            Found::Gone(path) => taken.names.push(path),
            Found::Emptied(path) => taken.emptied.push(path),
        }
        Ok(())
    })?;
    Ok(taken)
}

/// What a layer says of one name.
pub(super) enum Found {
    Entry(Entry),
    Gone(PathBuf),
    Emptied(PathBuf),
}

/// Each entry with its data, in order; then the rest of the blob, which must be the one of the digest.
pub(super) fn walk(
    layout: &Layout,
    layer: &Layer,
    bounds: &mut Bounds,
    each: impl FnMut(Found, &mut dyn Read) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let section: Section<'_> = layout.section(&layer.digest, layer.size)?;
    let seen = Rc::new(RefCell::new(Seen { hash: Sha256::new(), bytes: 0 }));
    let hashed = Hashed { from: section, seen: Rc::clone(&seen) };
    let mut entries = bounds.entries;
    let mut rest = each_of(opened(hashed, layer.packing, layer.size, bounds)?, &mut entries, each)?;
    io::copy(&mut rest, &mut io::sink()).map_err(Fault::read)?;
    drop(rest);
    bounds.entries = entries;
    let seen = seen.borrow();
    if seen.bytes != layer.size {
        return Err(Fault::Broken(format!("something stands behind the layer {}", layer.digest)));
    }
    if hex(&seen.hash.clone().finalize()) != layer.digest.hex() {
        return Err(Fault::Broken(format!("the blob {} is another", layer.digest)));
    }
    Ok(())
}

/// Each entry of `from`, of at most `entries`; gives what is behind the last one.
fn each_of<S: Source>(
    from: S,
    entries: &mut u64,
    mut each: impl FnMut(Found, &mut dyn Read) -> Result<(), Fault>,
) -> Result<S, Fault> {
    let mut tar = Tar::new(from);
    while let Some(header) = tar.next()? {
        let Some(left) = entries.checked_sub(1) else {
            return Err(Fault::TooLarge("more names than are unpacked of one image".into()));
        };
        *entries = left;
        if let Some(found) = found(header)? {
            each(found, &mut tar)?;
        }
    }
    Ok(tar.into_rest())
}

/// Every name of a plain layer.
pub(super) fn names(layer: &[u8], bounds: &mut Bounds) -> Result<Vec<PathBuf>, Fault> {
    let mut names = Vec::new();
    let packed = u64::try_from(layer.len()).unwrap_or(u64::MAX);
    let mut entries = bounds.entries;
    each_of(opened(layer, Packing::None, packed, bounds)?, &mut entries, |found, _| {
        match found {
            Found::Gone(path) | Found::Emptied(path) => names.push(path),
            Found::Entry(Entry { path, what, .. }) => {
                names.push(path);
                if let What::HardLink(target) = what {
                    names.push(target);
                }
            }
        }
        Ok(())
    })?;
    Ok(names)
}

/// What an entry says, if anything; a refusal where it could do harm.
fn found(header: Header) -> Result<Option<Found>, Fault> {
    let path = match name::of_entry(&header.name)? {
        Name::Root | Name::Nothing => return Ok(None),
        Name::Gone(path) => return Ok(Some(Found::Gone(path))),
        Name::Emptied(path) => return Ok(Some(Found::Emptied(path))),
        Name::At(path) => path,
    };
    let refuse = |why| Err(Fault::unsafe_name(&header.name, why));
    let what = match header.kind {
        Kind::File => What::File { size: header.size },
        Kind::Directory => What::Directory,
        Kind::Link if header.link.is_empty() => return refuse("it is a link to nothing"),
        Kind::Link if header.link.len() > LINK_BYTES_MAX || header.link.contains(&0) => {
            return refuse("it is a link to what is no path");
        }
        Kind::Link => {
            use std::os::unix::ffi::OsStringExt as _;
            What::Link(std::ffi::OsString::from_vec(header.link).into())
        }
        Kind::HardLink => {
            let target = name::relative(&header.link)?;
            if target.as_os_str().is_empty() {
                return refuse("it is another name of the root");
            }
            What::HardLink(target)
        }
        // The sandbox has a /dev of its own.
        Kind::Other(b'3' | b'4' | b'6') if name::is_of_dev(&path) => return Ok(None),
        Kind::Other(b'3' | b'4') => return refuse("it is a device"),
        Kind::Other(b'6') => return refuse("it is a FIFO"),
        Kind::Other(_) => return refuse("it is of a kind that no image has"),
    };
    Ok(Some(Found::Entry(Entry { path, what, mode: header.mode & 0o777, mtime: header.mtime })))
}
