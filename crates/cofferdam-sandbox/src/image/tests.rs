//! Archives made by hand: what an image is, and what somebody could make of one.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{Bounds, Fault, Image, ImageError, layout, unpacked};

const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OURS: &str = r#"{"os":"linux","architecture":"amd64"}"#;

/// A folder of one test, removed with this.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let name = format!("cofferdam-image-{test}-{}", std::process::id());
        let path = std::fs::canonicalize(std::env::temp_dir()).unwrap().join(name);
        drop(std::fs::remove_dir_all(&path));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Unpacks `archive`.
    fn unpack(&self, archive: &[u8]) -> Result<Image, ImageError> {
        self.unpack_within(archive, &Bounds::default())
    }

    fn unpack_within(&self, archive: &[u8], bounds: &Bounds) -> Result<Image, ImageError> {
        let path = self.0.join("image.tar");
        std::fs::write(&path, archive).unwrap();
        unpacked(&path, &self.0.join("images"), bounds)
    }

    /// What is left in the folder of images besides those that are whole.
    fn left(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.join("images")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != "lock" && !name.starts_with("sha256-")).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// One entry of a tar: a header with its sum, and the data.
fn entry(name: &str, kind: u8, link: &str, mode: u32, data: &[u8]) -> Vec<u8> {
    sized(name, kind, (link, mode), data.len(), data)
}

fn sized(name: &str, kind: u8, (link, mode): (&str, u32), size: usize, data: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, format!("{mode:07o}\0").as_bytes());
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, b"00000001750\0");
    put(148, b"        ");
    put(156, &[kind]);
    put(157, link.as_bytes());
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut out = header.to_vec();
    out.extend_from_slice(data);
    out.resize(out.len().div_ceil(512) * 512, 0);
    out
}

fn file(name: &str, data: &str) -> Vec<u8> {
    entry(name, b'0', "", 0o644, data.as_bytes())
}

fn directory(name: &str) -> Vec<u8> {
    entry(name, b'5', "", 0o755, b"")
}

fn link(name: &str, to: &str) -> Vec<u8> {
    entry(name, b'2', to, 0o777, b"")
}

fn hard_link(name: &str, to: &str) -> Vec<u8> {
    entry(name, b'1', to, 0o644, b"")
}

fn tar(entries: &[Vec<u8>]) -> Vec<u8> {
    [entries.concat(), vec![0; 1024]].concat()
}

fn sha256(bytes: &[u8]) -> String {
    layout::hex(&Sha256::digest(bytes))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn blob(bytes: &[u8]) -> Vec<u8> {
    entry(&format!("blobs/sha256/{}", sha256(bytes)), b'0', "", 0o644, bytes)
}

fn descriptor(media: &str, bytes: &[u8], more: &str) -> String {
    let (digest, size) = (sha256(bytes), bytes.len());
    format!(r#"{{"mediaType":"{media}","digest":"sha256:{digest}","size":{size}{more}}}"#)
}

/// The blobs of an image, and its descriptor.
fn image(layers: &[(&str, Vec<u8>)], config: &str) -> (Vec<Vec<u8>>, String) {
    let mut blobs: Vec<Vec<u8>> = layers.iter().map(|(_, bytes)| blob(bytes)).collect();
    let all: Vec<String> =
        layers.iter().map(|(media, bytes)| descriptor(media, bytes, "")).collect();
    let config_media = "application/vnd.oci.image.config.v1+json";
    let manifest = format!(
        r#"{{"schemaVersion":2,"config":{},"layers":[{}]}}"#,
        descriptor(config_media, config.as_bytes(), ""),
        all.join(",")
    );
    blobs.extend([blob(config.as_bytes()), blob(manifest.as_bytes())]);
    (blobs, descriptor(MANIFEST, manifest.as_bytes(), ""))
}

fn layout_of(mut blobs: Vec<Vec<u8>>, manifests: &[String]) -> Vec<u8> {
    // Two images may have one configuration.
    blobs.sort();
    blobs.dedup();
    let index = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, manifests.join(","));
    let marker = r#"{"imageLayoutVersion":"1.0.0"}"#;
    let mut all = vec![directory("blobs/"), directory("blobs/sha256/"), file("oci-layout", marker)];
    all.push(file("index.json", &index));
    all.extend(blobs);
    tar(&all)
}

fn archive(layers: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let (blobs, manifest) = image(layers, OURS);
    layout_of(blobs, &[manifest])
}

/// One layer of these entries, after one with what every system has.
fn with(entries: &[Vec<u8>]) -> Vec<u8> {
    let base = tar(&[directory("usr"), directory("etc"), file("usr/here", "below")]);
    archive(&[(TAR, base), (TAR, tar(entries))])
}

fn read(image: &Image, path: &str) -> Option<String> {
    std::fs::read_to_string(image.root.join(path)).ok()
}

#[test]
fn an_image_is_unpacked_once() {
    let folder = Folder::new("once");
    let program = entry("usr/bin/program", b'0', "", 0o4755, b"text");
    let first = tar(&[directory("usr"), directory("usr/bin"), program, link("bin", "usr/bin")]);
    let second = tar(&[hard_link("usr/bin/second", "usr/bin/program"), file("etc/conf", "1")]);
    let archive = archive(&[(GZIP, gzip(&first)), (TAR, second)]);
    let image = folder.unpack(&archive).unwrap();
    assert!(image.digest.starts_with("sha256:") && image.digest.len() == 71, "{}", image.digest);
    assert_eq!(read(&image, "usr/bin/second").as_deref(), Some("text"));
    assert_eq!(std::fs::read_link(image.root.join("bin")).unwrap(), Path::new("usr/bin"));
    let seen = std::fs::metadata(image.root.join("usr/bin/program")).unwrap();
    assert_eq!(seen.mode() & 0o7777, 0o755, "no setuid bit");
    assert_eq!((seen.nlink(), seen.mtime()), (2, 1000));
    assert_eq!(seen.uid(), rustix::process::geteuid().as_raw(), "the caller's");
    // What the sandbox mounts its own on.
    for name in ["passwd", "group", "hosts", "nsswitch.conf", "resolv.conf"] {
        assert_eq!(read(&image, &format!("etc/{name}")).as_deref(), Some(""), "{name}");
    }
    // The second time nothing is unpacked: what is there stays.
    std::fs::write(image.root.join("etc/conf"), "2").unwrap();
    assert_eq!(folder.unpack(&archive).unwrap(), image);
    assert_eq!(read(&image, "etc/conf").as_deref(), Some("2"));
    // One that is not whole is made anew; so is what an ended one left.
    std::fs::remove_file(image.root.with_file_name("done")).unwrap();
    std::fs::create_dir(folder.0.join("images/new-left")).unwrap();
    assert_eq!(folder.unpack(&archive).unwrap(), image);
    assert_eq!(read(&image, "etc/conf").as_deref(), Some("1"));
    assert_eq!(folder.left(), [""; 0]);
    let seen = std::fs::metadata(folder.0.join("images")).unwrap();
    assert_eq!(seen.mode() & 0o7777, 0o700);
    // Packed as a whole, it is the same image.
    assert_eq!(folder.unpack(&gzip(&archive)).unwrap(), image);
}

#[test]
fn layers_of_zstd() {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};
    let folder = Folder::new("zstd");
    let layer = tar(&[file("usr/x", "text")]);
    let packed = compress_to_vec(layer.as_slice(), CompressionLevel::Fastest);
    let image = folder.unpack(&archive(&[(ZSTD, packed.clone())])).unwrap();
    assert_eq!(read(&image, "usr/x").as_deref(), Some("text"));
    // What stands behind the first frame would be passed over.
    let two = [packed.clone(), packed].concat();
    let error = folder.unpack(&archive(&[(ZSTD, two)])).unwrap_err();
    assert!(error.to_string().contains("more than one frame"), "{error}");
}

#[test]
fn two_at_once_make_one() {
    let folder = Folder::new("two");
    let files: Vec<Vec<u8>> = (0..200).map(|n| file(&format!("usr/{n}"), "text")).collect();
    let bytes = with(&files);
    let unpack = || folder.unpack(&bytes).unwrap();
    // The archive is the same file for all of them.
    let first = unpack();
    std::fs::remove_dir_all(folder.0.join("images")).unwrap();
    let path = folder.0.join("image.tar");
    let images = folder.0.join("images");
    let all: Vec<Image> = std::thread::scope(|scope| {
        let one = || unpacked(&path, &images, &Bounds::default()).unwrap();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(all.iter().all(|image| *image == first));
    assert_eq!(read(&first, "usr/199").as_deref(), Some("text"));
    assert_eq!(folder.left(), [""; 0]);
}

/// What a name, a link or a kind may not be, each beside the nearest that may.
#[test]
#[expect(clippy::too_many_lines, reason = "a table: one row a case")]
fn what_leads_out_is_refused() {
    let folder = Folder::new("out");
    let outside = folder.0.join("outside");
    std::fs::write(&outside, "untouched").unwrap();
    let target = outside.to_str().unwrap();
    let above = folder.0.to_str().unwrap();
    let long = |name: &str| {
        let name = entry("././@LongLink", b'L', "", 0, name.as_bytes());
        [name, file("short", "")].concat()
    };
    let deep = "d/".repeat(250);
    let cases: Vec<(&str, Vec<Vec<u8>>, &str)> = vec![
        ("upwards", vec![file("../x", "")], "it leads up"),
        ("upwards within", vec![file("usr/../../x", "")], "it leads up"),
        ("absolute", vec![file("/usr/x", "")], "it is absolute"),
        ("a name of 256 bytes", vec![long(&"n".repeat(256))], "it is longer than a name"),
        ("a deep name", vec![long(&format!("{deep}x"))], "it is too deep"),
        (
            "through a link",
            vec![link("usr/out", above), file("usr/out/outside", "written")],
            NO_DIRECTORY,
        ),
        ("through a link at the root", vec![link("out", "/"), file("out/x", "")], NO_DIRECTORY),
        ("through a link within", vec![link("lib", "usr"), file("lib/x", "")], NO_DIRECTORY),
        ("below a file", vec![file("f", ""), file("f/x", "")], NO_DIRECTORY),
        ("a hard link upwards", vec![hard_link("usr/x", "../../outside")], "it leads up"),
        ("an absolute hard link", vec![hard_link("usr/x", target)], "it is absolute"),
        (
            "a hard link through a link",
            vec![link("out", above), hard_link("x", "out/outside")],
            NO_DIRECTORY,
        ),
        (
            "a hard link to a link",
            vec![link("out", target), hard_link("x", "out")],
            "it is another name of what is no file",
        ),
        (
            "a hard link to nothing",
            vec![hard_link("x", "usr/none")],
            "it is another name of what is not there",
        ),
        ("a device", vec![entry("usr/null", b'3', "", 0o666, b"")], "it is a device"),
        ("a disk", vec![entry("usr/sda", b'4', "", 0o666, b"")], "it is a device"),
        ("a FIFO", vec![entry("usr/fifo", b'6', "", 0o666, b"")], "it is a FIFO"),
        (
            "a sparse file",
            vec![entry("usr/x", b'S', "", 0o644, b"")],
            "it is of a kind that no image has",
        ),
        ("a whiteout upwards", vec![file("usr/.wh...", "")], "it takes away what is no name"),
        ("a whiteout through a link", vec![file("out/.wh.outside", "")], NO_DIRECTORY),
    ];
    for (what, entries, why) in cases {
        let archive = if what == "a whiteout through a link" {
            archive(&[(TAR, tar(&[directory("usr"), link("out", above)])), (TAR, tar(&entries))])
        } else {
            with(&entries)
        };
        let error = folder.unpack(&archive).unwrap_err();
        assert!(matches!(error.fault, Fault::Unsafe { .. }), "{what}: {error}");
        assert!(error.to_string().contains(why), "{what}: {error}");
        assert_eq!(error.code(), "image-unsafe");
        assert_eq!(std::fs::read_to_string(&outside).unwrap(), "untouched", "{what}");
        assert_eq!(folder.left(), [""; 0], "{what}");
    }
    // The nearest that may be.
    let name = "n".repeat(255);
    let image = folder.unpack(&with(&[
        file("./usr/./x", "dots"),
        long(&name),
        link("usr/out", above),
        link("lib", "usr"),
        file("f", "file"),
        hard_link("usr/second", "usr/here"),
        entry("dev/null", b'3', "", 0o666, b""),
        entry("dev/initctl", b'6', "", 0o666, b""),
    ]));
    let image = image.unwrap();
    assert_eq!(read(&image, "usr/x").as_deref(), Some("dots"));
    assert_eq!(read(&image, &name).as_deref(), Some(""));
    assert_eq!(std::fs::read_link(image.root.join("usr/out")).unwrap(), folder.0);
    assert_eq!(read(&image, "usr/second").as_deref(), Some("below"));
    assert!(!image.root.join("dev/null").exists(), "a device of /dev is left out");
}

const NO_DIRECTORY: &str = "what stands above it is no directory";

#[test]
fn what_a_layer_takes_away() {
    let folder = Folder::new("taken");
    let base = tar(&[
        directory("etc"),
        file("etc/a", "1"),
        file("etc/b", "1"),
        directory("usr"),
        directory("usr/tree"),
        file("usr/tree/x", "1"),
        directory("opt"),
        file("opt/old", "1"),
        directory("opt/deep"),
        file("opt/deep/x", "1"),
    ]);
    let over = tar(&[
        file("etc/.wh.a", ""),
        file("usr/.wh.tree", ""),
        // Those of its own layer stay, on whichever side of the mark.
        file("opt/new", "2"),
        file("opt/.wh..wh..opq", ""),
        file("opt/newer", "2"),
        file("etc/.wh.none", ""),
        file("none/.wh.x", ""),
        // A file where a directory was, and the reverse.
        file("usr/.wh..wh.plnk", ""),
    ]);
    let third = tar(&[file("etc", "now a file"), directory("opt/new"), file("opt/new/x", "3")]);
    let image = folder.unpack(&archive(&[(TAR, base.clone()), (TAR, over.clone())])).unwrap();
    for (path, want) in [
        ("etc/a", None),
        ("etc/b", Some("1")),
        ("usr/tree/x", None),
        ("opt/old", None),
        ("opt/deep/x", None),
        ("opt/new", Some("2")),
        ("opt/newer", Some("2")),
    ] {
        assert_eq!(read(&image, path).as_deref(), want, "{path}");
    }
    assert!(!image.root.join("none").exists() && !image.root.join("usr/tree").exists());
    assert!(std::fs::read_dir(image.root.join("opt")).unwrap().count() == 2, "no mark is left");
    let error = folder.unpack(&archive(&[(TAR, base), (TAR, over), (TAR, third)])).unwrap_err();
    assert!(error.to_string().contains("etc"), "a system whose /etc is a file: {error}");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table: one row a case")]
fn what_is_not_what_it_says() {
    let folder = Folder::new("broken");
    let layer = tar(&[directory("usr"), file("usr/x", "text")]);
    let good = archive(&[(TAR, layer.clone())]);
    // Elsewhere: where it is unpacked already, no layer of it is read again.
    Folder::new("whole").unpack(&good).unwrap();
    let changed = |from: &[u8], to: &[u8]| {
        let at = good.windows(from.len()).position(|bytes| bytes == from).unwrap();
        let mut bad = good.clone();
        bad[at..at + to.len()].copy_from_slice(to);
        bad
    };
    let hex = sha256(&layer);
    let name = format!("blobs/sha256/{hex}");
    // The name in the header that leads to the layer, and the layer of another image with that name.
    let (blobs, manifest) = image(&[(TAR, layer.clone())], OURS);
    let lacking: Vec<Vec<u8>> =
        blobs.iter().filter(|blob| !blob.starts_with(name.as_bytes())).cloned().collect();
    let other = tar(&[directory("usr"), file("usr/x", "TEXT")]);
    let exchanged = [lacking.clone(), vec![entry(&name, b'0', "", 0o644, &other)]].concat();
    let longer = [
        lacking.clone(),
        vec![entry(&name, b'0', "", 0o644, &[layer.clone(), vec![0; 512]].concat())],
    ]
    .concat();
    let packed = gzip(&layer);
    let cut = packed[..packed.len() - 9].to_vec();
    let huge = tar(&[sized("usr/x", b'0', ("", 0o644), 1 << 30, b"text")]);
    for (what, bytes, code, why) in [
        ("one byte of the layer", changed(b"text", b"tEXt"), "image-broken", "is another"),
        (
            "a missing blob",
            layout_of(lacking.clone(), std::slice::from_ref(&manifest)),
            "image-broken",
            "is missing",
        ),
        (
            "an exchanged blob",
            layout_of(exchanged, std::slice::from_ref(&manifest)),
            "image-broken",
            "is another",
        ),
        (
            "a longer blob",
            layout_of(longer, std::slice::from_ref(&manifest)),
            "image-broken",
            "bytes, not",
        ),
        ("the configuration", changed(b"amd64", b"arm64"), "image-broken", "is another"),
        (
            "a sum",
            changed(b"oci-layout", b"oci-layouT"),
            "image-broken",
            "the sum of a header is wrong",
        ),
        ("no archive", b"#!/bin/sh\n".to_vec(), "image-broken", "it ends too early"),
        ("nothing", Vec::new(), "image-no-layout", "it has no oci-layout"),
        ("a plain root file system", layer.clone(), "image-no-layout", "it has no oci-layout"),
        (
            "an older archive of docker",
            tar(&[file("manifest.json", "[]")]),
            "image-no-layout",
            "docker save",
        ),
        ("half of it", good[..good.len() / 2].to_vec(), "image-broken", "it ends too early"),
        ("a packed layer that is cut", archive(&[(GZIP, cut)]), "image-broken", ""),
        ("a layer that is not packed", archive(&[(GZIP, layer.clone())]), "image-broken", ""),
        ("no zstd", archive(&[(ZSTD, layer.clone())]), "image-broken", "zstd"),
        ("a size that is not there", archive(&[(TAR, huge)]), "image-broken", "it ends too early"),
        (
            "an unknown layer",
            archive(&[("application/x-layer", layer.clone())]),
            "image-broken",
            "nobody here unpacks",
        ),
    ] {
        let error = folder.unpack(&bytes).unwrap_err();
        assert_eq!(error.code(), code, "{what}: {error}");
        assert!(error.to_string().contains(why), "{what}: {error}");
        assert!(!error.hint().is_empty());
        assert_eq!(folder.left(), [""; 0], "{what}");
    }
}

#[test]
fn which_image_is_taken() {
    let folder = Folder::new("which");
    let of = |text: &str, config: &str| image(&[(TAR, tar(&[file("usr/x", text)]))], config);
    let (mut blobs, ours) = of("ours", OURS);
    let (more, theirs) = of("theirs", r#"{"os":"linux","architecture":"arm64"}"#);
    let (others, second) = of("second", OURS);
    blobs.extend(more);
    let named = |one: &str, platform: &str| {
        one.replace("\"size\"", &format!("\"platform\":{platform},\"size\""))
    };
    let arm = r#"{"os":"linux","architecture":"arm64"}"#;
    let unknown = r#"{"os":"unknown","architecture":"unknown"}"#;
    let inner = format!(r#"{{"manifests":[{},{}]}}"#, named(&theirs, arm), named(&ours, OURS));
    let nested = descriptor(INDEX, inner.as_bytes(), "");
    let with_inner = [blobs.clone(), vec![blob(inner.as_bytes())]].concat();
    for (what, bytes) in [
        ("beside another platform", layout_of(blobs.clone(), &[theirs.clone(), ours.clone()])),
        ("with attestations", layout_of(blobs.clone(), &[named(&theirs, unknown), ours.clone()])),
        ("an index in the index", layout_of(with_inner, &[nested])),
        ("twice the same", layout_of(blobs.clone(), &[ours.clone(), ours.clone()])),
    ] {
        let image = folder.unpack(&bytes).unwrap();
        assert_eq!(read(&image, "usr/x").as_deref(), Some("ours"), "{what}");
    }
    let all = [blobs.clone(), others].concat();
    let mut deep = (ours.clone(), Vec::new());
    for _ in 0..6 {
        let text = format!(r#"{{"manifests":[{}]}}"#, deep.0);
        deep = (
            descriptor(INDEX, text.as_bytes(), ""),
            [deep.1, vec![blob(text.as_bytes())]].concat(),
        );
    }
    for (what, bytes, code, why) in [
        ("none of ours", layout_of(blobs.clone(), &[theirs]), "image-platform", "linux/arm64"),
        ("two of ours", layout_of(all, &[ours, second]), "image-platform", "2 of them"),
        ("none", layout_of(blobs.clone(), &[]), "image-platform", "it has nothing"),
        (
            "indexes without end",
            layout_of([blobs, deep.1].concat(), &[deep.0]),
            "image-broken",
            "too many indexes",
        ),
    ] {
        let error = folder.unpack(&bytes).unwrap_err();
        assert_eq!(error.code(), code, "{what}: {error}");
        assert!(error.to_string().contains(why), "{what}: {error}");
    }
}

#[test]
fn what_is_too_large() {
    let folder = Folder::new("large");
    let files: Vec<Vec<u8>> = (0..10).map(|n| file(&format!("usr/{n}"), "text")).collect();
    let names = with(&files);
    let bounds = |bytes, entries| Bounds { bytes, entries };
    let zeros = entry("usr/zeros", b'0', "", 0o644, &vec![0; 1 << 20]);
    let packed = archive(&[(GZIP, gzip(&tar(&[zeros])))]);
    assert!(packed.len() < 20 << 10, "a mebibyte in a few kibibytes");
    for (what, bytes, bounds) in [
        ("names", &names, bounds(1 << 20, 12)),
        ("bytes", &names, bounds(10 << 10, 100)),
        ("packed bytes", &packed, bounds(1 << 20, 100)),
        ("an archive that is packed", &gzip(&names), bounds(10 << 10, 100)),
    ] {
        let error = folder.unpack_within(bytes, &bounds).unwrap_err();
        assert_eq!(error.code(), "image-too-large", "{what}: {error}");
        assert_eq!(folder.left(), [""; 0], "{what}");
    }
    folder.unpack_within(&names, &bounds(1 << 20, 13)).unwrap();
    folder.unpack_within(&packed, &bounds(2 << 20, 100)).unwrap();
}

#[test]
fn names_of_pax_and_of_gnu() {
    let folder = Folder::new("pax");
    let record = |text: &str| {
        // Its own length is part of it.
        let length = (1..).find(|length| format!("{length} {text}\n").len() == *length).unwrap();
        format!("{length} {text}\n")
    };
    let pax = |records: &str, what: Vec<u8>| {
        [entry("PaxHeaders/x", b'x', "", 0o644, records.as_bytes()), what].concat()
    };
    let long = format!("usr/{}", "p".repeat(200));
    let image = folder.unpack(&with(&[
        pax(&record(&format!("path={long}")), file("short", "pax")),
        pax(&record(&format!("linkpath={}", "t".repeat(300))), link("usr/link", "short")),
        pax(&record("SCHILY.xattr.security.capability=x"), file("usr/capable", "")),
        entry("pax_global_header", b'g', "", 0o644, record("comment=of git").as_bytes()),
        file("usr/after", "1"),
    ]));
    let image = image.unwrap();
    assert_eq!(read(&image, &long).as_deref(), Some("pax"));
    let target = std::fs::read_link(image.root.join("usr/link")).unwrap();
    assert_eq!(target, Path::new(&"t".repeat(300)));
    assert_eq!(read(&image, "usr/after").as_deref(), Some("1"));
    for (what, bytes) in [
        ("upwards", pax(&record("path=../../x"), file("usr/x", ""))),
        ("absolute", pax(&record("path=/x"), file("usr/x", ""))),
        ("a NUL", pax(&record("path=usr/a\0b"), file("usr/x", ""))),
        ("a hard link upwards", pax(&record("linkpath=../x"), hard_link("usr/x", "usr/here"))),
        ("a global name", entry("g", b'g', "", 0o644, record("path=usr/x").as_bytes())),
        ("no record", pax("99 path=x\n", file("usr/x", ""))),
        ("no number", pax("x path=x\n", file("usr/x", ""))),
        ("sparse", pax(&record("GNU.sparse.major=1"), file("usr/x", ""))),
    ] {
        let error = folder.unpack(&with(&[bytes])).unwrap_err();
        assert!(matches!(error.code(), "image-unsafe" | "image-broken"), "{what}: {error}");
    }
}

#[test]
fn a_store_that_others_may_write_is_refused() {
    let folder = Folder::new("shared");
    let images = folder.0.join("images");
    std::fs::create_dir(&images).unwrap();
    let set =
        |mode| std::fs::set_permissions(&images, std::fs::Permissions::from_mode(mode)).unwrap();
    set(0o777);
    let error = folder.unpack(&with(&[])).unwrap_err();
    assert_eq!(error.code(), "image-shared", "{error}");
    set(0o700);
    folder.unpack(&with(&[])).unwrap();
}
