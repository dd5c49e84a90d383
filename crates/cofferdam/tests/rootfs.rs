//! `--rootfs`: another system in place of the host's, from a directory and from the archive of an image.

#[path = "support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};

use support::{Place, Ran, finish, is_root, programs};

/// Programs of the host's with what they load: a system that has these and no other.
const PROGRAMS: &str = "sh ls cat id readlink env touch stat";

/// Makes a root file system in `$1`.
const MAKE: &str = r#"
set -e
mkdir -p "$1/usr/bin" "$1/etc" "$1/app" "$1/var/lib" "$1/home/inner" "$1/tmp"
ln -s usr/bin "$1/bin"
for name in $PROGRAMS; do
    file=$(readlink -f "$(command -v $name)")
    cp "$file" "$1/usr/bin/$name"
    for library in $(ldd "$file" | grep -o '/[^ )]*'); do
        mkdir -p "$1$(dirname "$library")"
        cp -L "$library" "$1$library"
    done
done
echo of-the-image > "$1/etc/image"
echo hash > "$1/etc/shadow"
echo program > "$1/app/data"
touch "$1/etc/passwd" "$1/etc/group" "$1/etc/hosts" "$1/etc/nsswitch.conf" "$1/etc/resolv.conf"
chmod -R go-w "$1"
"#;

/// Makes an image of one layer of `$1` in the archive `$2`.
const PACK: &str = r#"
set -e
layout=$(mktemp -d)
mkdir -p "$layout/blobs/sha256"
blob() { # FILE: its digest and size
    sum=$(sha256sum "$1" | cut -d' ' -f1)
    size=$(stat -c %s "$1")
    mv "$1" "$layout/blobs/sha256/$sum"
    what="\"digest\":\"sha256:$sum\",\"size\":$size"
}
tar -C "$1" -czf "$layout/layer" .
blob "$layout/layer"; layer=$what
printf '{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}' > "$layout/config"
blob "$layout/config"; config=$what
printf '{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json",%s},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip",%s}]}' "$config" "$layer" > "$layout/manifest"
blob "$layout/manifest"
printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json",%s}]}' "$what" > "$layout/index.json"
printf '{"imageLayoutVersion":"1.0.0"}' > "$layout/oci-layout"
tar -C "$layout" -cf "$2" .
rm -rf "$layout"
"#;

fn make(place: &Place, name: &str) -> PathBuf {
    let root = place.root.join(name);
    let script = format!("PROGRAMS='{PROGRAMS}'; set -- '{}'\n{MAKE}", root.display());
    place.outside(&script).works("make a root file system");
    root
}

fn pack(place: &Place, root: &Path) -> PathBuf {
    let archive = place.root.join("image.tar");
    let script = format!("set -- '{}' '{}'\n{PACK}", root.display(), archive.display());
    place.outside(&script).works("make an image");
    archive
}

fn inside(place: &Place, rootfs: &Path, options: &[&str], script: &str) -> Ran {
    let rootfs = rootfs.display().to_string();
    let all: Vec<&str> = ["--rootfs", &rootfs].iter().chain(options).copied().collect();
    place.inside_with(&all, script)
}

fn plan(place: &Place, rootfs: &Path, options: &[&str]) -> Ran {
    let mut command = place.command(programs().join("cofferdam"));
    finish(command.arg("plan").arg("--rootfs").arg(rootfs).args(options).args(["--", "true"]))
}

/// What holds of either kind.
fn is_the_images(place: &Place, run: impl Fn(&str) -> Ran) {
    let names = run("ls /").works("its own names");
    let names: Vec<&str> = names.out.lines().collect();
    for name in ["app", "bin", "etc", "usr", "tmp", "proc", "dev"] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    let programs = run("ls /usr/bin").works("its own programs");
    let mut expected: Vec<&str> = PROGRAMS.split(' ').collect();
    expected.sort_unstable();
    assert_eq!(programs.out.split_whitespace().collect::<Vec<_>>(), expected);
    // What the host has, and the image has not.
    let git = "test -e /usr/bin/git";
    place.outside(git).works("the host has git");
    run(git).fails(&[""], "the image has none");
    place.outside("test -d /usr/share").works("the host has /usr/share");
    run("test -d /usr/share").fails(&[""], "the image has none");
    let own = run("cat /etc/image /app/data; readlink /bin; id -un").works("its own files");
    assert!(own.out.starts_with("of-the-image\nprogram\nusr/bin\n"), "{own:?}");
    // Ours stay ours.
    run("cat /etc/passwd | while read line; do echo \"$line\"; done").works("users");
    let hosts = run("cat /etc/hosts").works("names");
    assert!(hosts.out.contains("127.0.0.1 localhost cofferdam"), "{hosts:?}");
    run("cat /etc/shadow").fails(&["Permission denied"], "a shadow is hidden");
    place.outside("cd $W && touch a && rm a").works("a name in the workspace");
    run("cd \"$W\" && touch made && cat made").works("the workspace is written");
    for at in ["/usr/x", "/app/x", "/etc/x", "/bin/x", "/x", "/usr/bin/cat"] {
        run(&format!("touch {at}")).fails(&["Read-only file system", "Permission denied"], at);
    }
    // What it has of these is nobody's: the sandbox has its own.
    run("test -e /home/inner").fails(&[""], "its /home");
    run("test -e /var/lib").fails(&[""], "its /var");
    run("touch /tmp/x && cat /dev/null").works("a /tmp and a /dev of the sandbox's own");
}

#[test]
fn a_directory_is_the_system() {
    let place = Place::new();
    let root = make(&place, "image");
    is_the_images(&place, |script| inside(&place, &root, &[], script));
    let plan = plan(&place, &root, &[]).works("it can be planned");
    let says =
        format!("the system is that of {}, read-only, and nothing of the host's", root.display());
    let text = plan.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(&says) && text.contains("/var (the sandbox has its own"), "{text}");
    // By a policy, from the working directory.
    place.write("policy.toml", &format!("version = 1\nrootfs = \"{}\"\n", root.display()));
    let policy = place.root.join("policy.toml").display().to_string();
    place.inside_with(&["--policy", &policy], "cat /etc/image").works("by a policy");
    place.inside("cat /etc/image").fails(&["No such file"], "without one it is the host's");
    let log = std::fs::read_to_string(place.audit_log()).unwrap_or_default();
    let path = format!("\"root\":\"{}\"", root.display());
    assert!(log.contains(&path), "the first record has it");
}

/// A system without an /etc has ours there, and nothing else.
#[test]
fn without_an_etc_ours_is_made() {
    let place = Place::new();
    let root = make(&place, "image");
    place.outside(&format!("rm -r '{}'/etc", root.display())).works("it has none");
    let ran = inside(&place, &root, &[], "ls /etc; cat /etc/hosts").works("there is one");
    for name in ["group", "hosts", "nsswitch.conf", "passwd", "resolv.conf"] {
        assert!(ran.out.lines().any(|line| line == name), "{name}: {ran:?}");
    }
    assert!(ran.out.contains("127.0.0.1 localhost cofferdam"), "{ran:?}");
    inside(&place, &root, &[], "touch /etc/x").fails(&["Read-only", "denied"], "nobody writes it");
}

#[test]
fn an_image_is_the_system() {
    let place = Place::new();
    let root = make(&place, "tree");
    let archive = pack(&place, &root);
    is_the_images(&place, |script| inside(&place, &archive, &[], script));
    let images = place.home.join(".local/state/cofferdam/images");
    let found = place.outside(&format!("ls '{}'", images.display())).works("unpacked");
    let digest = found.out.lines().find(|name| name.starts_with("sha256-"));
    let digest = digest.unwrap_or_default().replace("sha256-", "sha256:");
    assert_eq!(digest.len(), 71, "{found:?}");
    let log = std::fs::read_to_string(place.audit_log()).unwrap_or_default();
    assert!(log.contains(&format!("\"digest\":\"{digest}\"")), "the first record has its digest");
    let plan = plan(&place, &archive, &[]).works("it can be planned");
    assert!(plan.out.contains(&digest), "{}", plan.out);
    // It is not unpacked again.
    let before = place.outside(&format!("stat -c %Z '{}'/sha256-*", images.display()));
    inside(&place, &archive, &[], "cat /etc/image").works("once more");
    let after = place.outside(&format!("stat -c %Z '{}'/sha256-*", images.display()));
    assert_eq!(before.out, after.out);
}

/// The same plan, built by the distribution's program.
#[test]
fn under_bubblewrap_too() {
    let place = Place::new();
    let root = make(&place, "image");
    if is_root() {
        place
            .outside("chmod 755 \"$H\" \"$H/src\" && chown -R 65533:65533 \"$W\" \"$OUT\"")
            .works("its owner is an ordinary user");
    }
    let script = "ls /usr/bin; cat /etc/image /etc/hosts; test ! -e /usr/bin/git";
    let ran = inside(&place, &root, &["--jail", "bubblewrap"], script).works("bubblewrap");
    assert!(ran.out.contains("of-the-image") && ran.out.contains("cofferdam"), "{ran:?}");
    let etc = format!("rm -r '{}'/etc", root.display());
    place.outside(&etc).works("none");
    let ran = inside(&place, &root, &["--jail", "bubblewrap"], "cat /etc/hosts");
    assert!(ran.works("ours").out.contains("cofferdam"));
}

#[test]
fn what_is_no_system_is_refused() {
    let place = Place::new();
    let root = make(&place, "image");
    let shown = root.display().to_string();
    let out = place.out.display().to_string();
    place.outside("mkdir \"$W/image\" && mkdir \"$W/image/usr\"").works("one in the workspace");
    place.outside(&format!("ln -s image '{shown}-link'; mkfifo '{shown}-fifo'")).works("others");
    let within = place.work.join("image").display().to_string();
    let state = place.home.join(".local/state/cofferdam/system").display().to_string();
    place.outside(&format!("mkdir -p '{state}'/usr")).works("one among our own things");
    let before = |act: &str, path: &str, options: &[&str], with: &str| {
        place.outside(act).works(act);
        inside(&place, Path::new(path), options, "true").refused(with, with);
    };
    for (path, options, with) in [
        ("/none", &[][..], "not-found"),
        ("/", &[], "rootfs-writable"),
        (&state, &[], "rootfs-too-wide"),
        (&out, &[], "rootfs-no-system"),
        (&within, &[], "rootfs-writable"),
        (&format!("{shown}-link"), &[], "symbolic-link"),
        (&format!("{shown}-fifo"), &[], "not-regular"),
        (&shown, &["--grant", &format!("{shown}/app:rw")], "rootfs-writable"),
        (&shown, &["--hide", "/etc/image"], "rootfs-hidden"),
        (&shown, &["--jail", "landlock"], "another system is seen by mounts"),
        (&shown, &["--grant", "/usr/share:ro"], "rootfs-no-place"),
    ] {
        inside(&place, Path::new(path), options, "true").refused(with, with);
    }
    let tar = place.write("plain.tar", "no archive").display().to_string();
    inside(&place, Path::new(&tar), &[], "true").refused("image-broken", "no archive");
    inside(&place, &root, &[], "true").works("the one that all of these are near");
    before(&format!("rm '{shown}/etc/hosts'"), &shown, &[], "rootfs-lacks");
    before(&format!("ln -s /proc/version '{shown}/etc/hosts'"), &shown, &[], "rootfs-lacks");
    before(&format!("rm '{shown}/etc/hosts'; touch '{shown}/etc/hosts'"), &out, &[], "no-system");
    inside(&place, &root, &[], "true").works("with its file again");
    before(&format!("chmod o+w '{shown}'"), &shown, &[], "rootfs-shared");
}
