//! The layout in an archive: which blob is where, and which image is for this machine.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::layer::Packing;
use super::tar::{Kind, Source, Tar};
use super::{Fault, layer};

/// Longest index, manifest or configuration. Bytes.
const JSON_BYTES_MAX: u64 = 4 << 20;
/// Most blobs of an archive, images of an index, layers of an image, and indexes in one another.
const BLOBS_MAX: usize = 100_000;
const DESCRIPTORS_MAX: usize = 1_000;
const LAYERS_MAX: usize = 1_000;
const INDEXES_MAX: u32 = 4;

/// What an image may hold at most.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Bytes of all files, and of everything that is unpacked to get them.
    pub bytes: u64,
    /// Names.
    pub entries: u64,
}

impl Default for Bounds {
    /// 16 GiB, and two million names.
    fn default() -> Self {
        Self { bytes: 16 << 30, entries: 2_000_000 }
    }
}

/// A SHA-256 as the specification writes it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Digest(String);

impl Digest {
    fn parse(text: &str) -> Result<Self, Fault> {
        let hex = text.strip_prefix("sha256:").unwrap_or_default();
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if hex.len() == 64 && hex.bytes().all(is_hex) {
            return Ok(Self(hex.to_owned()));
        }
        Err(Fault::broken("a digest in it is no sha256"))
    }

    /// 64 small hexadecimal digits.
    pub(super) fn hex(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "sha256:{}", self.0)
    }
}

#[derive(Deserialize)]
struct Marker {
    #[serde(rename = "imageLayoutVersion")]
    version: String,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Clone, Deserialize)]
struct Descriptor {
    #[serde(rename = "mediaType", default)]
    media: String,
    digest: String,
    size: u64,
    platform: Option<Platform>,
}

#[derive(Clone, Deserialize, PartialEq, Eq)]
struct Platform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
}

impl Platform {
    fn is_ours(&self) -> bool {
        self.os == "linux" && self.architecture == "amd64"
    }

    fn shown(&self) -> String {
        let shown = format!("{}/{}", self.os, self.architecture);
        shown.chars().take(60).collect::<String>().escape_debug().to_string()
    }
}

#[derive(Deserialize)]
struct ManifestText {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

/// An image, as its manifest says.
pub(super) struct Manifest {
    pub(super) digest: Digest,
    pub(super) layers: Vec<Layer>,
}

/// A layer, not looked at yet.
pub(super) struct Layer {
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) packing: Packing,
}

/// An archive of which it is known what is where.
pub(super) struct Layout {
    file: File,
    /// Where each blob is, and its length.
    blobs: BTreeMap<String, (u64, u64)>,
    index: (u64, u64),
}

/// A regular file, reached through no link.
pub(super) fn open(path: &Path) -> Result<File, Fault> {
    let said = |errno: rustix::io::Errno| Fault::read(errno.into());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let fd = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS).map_err(said)?;
    let seen = fstat(&fd).map_err(said)?;
    if FileType::from_raw_mode(seen.st_mode) != FileType::RegularFile {
        return Err(Fault::NoLayout("it is no regular file"));
    }
    Ok(File::from(fd))
}

/// The archive itself, where it is packed: into a file without a name.
pub(super) fn plain(
    mut file: File,
    unnamed: impl FnOnce() -> Result<File, Fault>,
    bounds: &Bounds,
) -> Result<File, Fault> {
    let mut first = [0_u8; 4];
    let have = file.read_at(&mut first, 0).map_err(Fault::read)?;
    let packing = match first.get(..have).unwrap_or_default() {
        [0x1F, 0x8B, ..] => Packing::Gzip,
        [0x28, 0xB5, 0x2F, 0xFD] => Packing::Zstd,
        _ => return Ok(file),
    };
    file.seek(SeekFrom::Start(0)).map_err(Fault::read)?;
    let packed = file.metadata().map_err(Fault::read)?.len();
    let mut bounds = bounds.clone();
    let mut reader = layer::opened(file, packing, packed, &mut bounds)?;
    let mut out = unnamed()?;
    // What reading and what writing says are both of this archive.
    io::copy(&mut reader, &mut out).map_err(Fault::read)?;
    Ok(out)
}

impl Source for BufReader<&File> {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let by = i64::try_from(bytes).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        self.seek_relative(by)
    }
}

impl Layout {
    /// Finds every blob, without reading one.
    pub(super) fn read(file: File) -> Result<Self, Fault> {
        (&file).seek(SeekFrom::Start(0)).map_err(Fault::read)?;
        let length = file.metadata().map_err(Fault::read)?.len();
        let mut blobs = BTreeMap::new();
        let (mut marker, mut index, mut other) = (None, None, false);
        let mut tar = Tar::new(BufReader::new(&file));
        while let Some(entry) = tar.next()? {
            let name = std::str::from_utf8(&entry.name).unwrap_or_default();
            let name = name.strip_prefix("./").unwrap_or(name);
            if entry.kind != Kind::File {
                continue;
            }
            let place = (entry.at, entry.size);
            if entry.at.checked_add(entry.size).is_none_or(|end| end > length) {
                return Err(Fault::ends());
            }
            let twice = match (name, name.strip_prefix("blobs/sha256/")) {
                ("oci-layout", _) => marker.replace(place).is_some(),
                ("index.json", _) => index.replace(place).is_some(),
                (_, Some(hex)) => blobs.insert(hex.to_owned(), place).is_some(),
                (_, None) => {
                    other |= name == "manifest.json";
                    false
                }
            };
            if twice {
                return Err(Fault::broken("a name stands in it twice"));
            }
            if blobs.len() > BLOBS_MAX {
                return Err(Fault::TooLarge(format!("more than {BLOBS_MAX} blobs")));
            }
        }
        let (Some(marker), Some(index)) = (marker, index) else {
            return Err(Fault::NoLayout(if other {
                "it is an archive of `docker save` in the older form"
            } else {
                "it has no oci-layout and index.json"
            }));
        };
        let layout = Self { file, blobs, index };
        let version = layout.json::<Marker>(marker)?.version;
        if !version.starts_with("1.") {
            return Err(Fault::NoLayout("its version is not 1"));
        }
        Ok(layout)
    }

    /// The image for this machine.
    pub(super) fn manifest(&self) -> Result<Manifest, Fault> {
        let index: Index = self.json(self.index)?;
        let mut found = Vec::new();
        let mut others = Vec::new();
        let mut left = DESCRIPTORS_MAX;
        self.find(&index, INDEXES_MAX, &mut left, &mut (&mut found, &mut others))?;
        let mut images: Vec<(Digest, ManifestText)> = Vec::new();
        for one in found {
            let digest = Digest::parse(&one.digest)?;
            if images.iter().any(|(other, _)| *other == digest) {
                continue;
            }
            let text: ManifestText = self.blob(&one)?;
            let config: Platform = self.blob(&text.config)?;
            if config.is_ours() {
                images.push((digest, text));
            } else {
                others.push(config.shown());
            }
        }
        let count = images.len();
        let Some((digest, text)) = images.pop().filter(|_| count == 1) else {
            others.dedup();
            let others = if others.is_empty() { "nothing".into() } else { others.join(", ") };
            let has = if count == 0 { others } else { format!("{count} of them") };
            return Err(Fault::Platform(format!("it has {has}")));
        };
        if text.layers.len() > LAYERS_MAX {
            return Err(Fault::TooLarge(format!("more than {LAYERS_MAX} layers")));
        }
        let layers = text.layers.iter().map(|layer| {
            let (digest, size) = (Digest::parse(&layer.digest)?, layer.size);
            Ok(Layer { digest, size, packing: Packing::of_media(&layer.media)? })
        });
        Ok(Manifest { digest, layers: layers.collect::<Result<_, Fault>>()? })
    }

    /// Manifests that may be for this machine, and the platforms of the others.
    fn find(
        &self,
        index: &Index,
        deep: u32,
        left: &mut usize,
        found: &mut (&mut Vec<Descriptor>, &mut Vec<String>),
    ) -> Result<(), Fault> {
        for one in &index.manifests {
            let Some(rest) = left.checked_sub(1) else {
                return Err(Fault::TooLarge(format!("more than {DESCRIPTORS_MAX} images")));
            };
            *left = rest;
            match one.media.as_str() {
                "application/vnd.oci.image.index.v1+json"
                | "application/vnd.docker.distribution.manifest.list.v2+json" => {
                    let Some(deep) = deep.checked_sub(1) else {
                        return Err(Fault::broken("too many indexes in one another"));
                    };
                    self.find(&self.blob(one)?, deep, left, found)?;
                }
                "application/vnd.oci.image.manifest.v1+json"
                | "application/vnd.docker.distribution.manifest.v2+json" => {
                    match one.platform.as_ref().filter(|platform| !platform.is_ours()) {
                        Some(other) => found.1.push(other.shown()),
                        None => found.0.push(one.clone()),
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What of the archive the blob is: as long as it should be, and not read yet.
    pub(super) fn section(&self, digest: &Digest, size: u64) -> Result<Section<'_>, Fault> {
        let Some((at, length)) = self.blobs.get(digest.hex()).copied() else {
            return Err(Fault::Broken(format!("the blob {digest} is missing")));
        };
        if length != size {
            return Err(Fault::Broken(format!("the blob {digest} has {length} bytes, not {size}")));
        }
        Ok(Section { file: &self.file, at, left: length })
    }

    /// A blob of JSON, verified.
    fn blob<T: serde::de::DeserializeOwned>(&self, one: &Descriptor) -> Result<T, Fault> {
        let digest = Digest::parse(&one.digest)?;
        let section = self.section(&digest, one.size)?;
        let bytes = short(section)?;
        if hex(&Sha256::digest(&bytes)) != digest.hex() {
            return Err(Fault::Broken(format!("the blob {digest} is another")));
        }
        parsed(&bytes)
    }

    fn json<T: serde::de::DeserializeOwned>(&self, (at, left): (u64, u64)) -> Result<T, Fault> {
        parsed(&short(Section { file: &self.file, at, left })?)
    }
}

fn short(mut section: Section<'_>) -> Result<Vec<u8>, Fault> {
    if section.left > JSON_BYTES_MAX {
        return Err(Fault::TooLarge("more than 4 MiB of JSON".into()));
    }
    let mut bytes = Vec::new();
    section.read_to_end(&mut bytes).map_err(Fault::read)?;
    Ok(bytes)
}

fn parsed<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(bytes).map_err(|error| {
        // Its words may repeat what stands there.
        let (line, column) = (error.line(), error.column());
        Fault::Broken(format!("JSON in it is not as it should be: line {line}, column {column}"))
    })
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A part of the archive, read where it is.
pub(super) struct Section<'f> {
    file: &'f File,
    at: u64,
    left: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        let Some(into) = into.get_mut(..most).filter(|into| !into.is_empty()) else { return Ok(0) };
        let count = self.file.read_at(into, self.at)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let read = u64::try_from(count).unwrap_or(u64::MAX);
        self.at = self.at.saturating_add(read);
        self.left = self.left.saturating_sub(read);
        Ok(count)
    }
}
