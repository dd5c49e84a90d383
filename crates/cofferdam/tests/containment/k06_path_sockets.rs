//! K06: sockets of agents and daemons are absent.

use std::os::unix::net::UnixListener;

use crate::support::{Place, is_root};

#[test]
fn path_sockets_are_absent() {
    let place = Place::new();
    let mut paths: Vec<_> = [
        "home/.docker/run/docker.sock",
        "home/.gnupg/S.gpg-agent",
        "home/.ssh/agent.sock",
        "home/.colima/docker.sock",
        "out/wayland-0",
    ]
    .iter()
    .map(|name| place.write(name, ""))
    .collect();
    if is_root() {
        // An ordinary user cannot make names in /run; root makes one that looks like a daemon's.
        paths.push(format!("/run/cofferdam-test-{}.sock", std::process::id()).into());
    } else {
        eprintln!("not run as an ordinary user: k06_path_sockets in /run");
    }
    let mut listeners = Vec::new();
    for path in &paths {
        drop(std::fs::remove_file(path));
        listeners.push(UnixListener::bind(path).unwrap());
        let connect =
            format!("import socket\nsocket.socket(socket.AF_UNIX).connect('{}')", path.display());
        place.python_attack(&connect, &["ENOENT"], "a socket of the host");
    }
    for path in paths.iter().filter(|path| path.starts_with("/run")) {
        std::fs::remove_file(path).unwrap();
    }
    place
        .python_inside(
            "import socket\na = socket.socket(socket.AF_UNIX); a.bind('s'); a.listen()\n\
             socket.socket(socket.AF_UNIX).connect('s')",
        )
        .works("one of its own");
}

/// Where the daemons' sockets are by default: nothing answers there.
#[test]
fn default_places_of_daemons_are_empty() {
    let place = Place::new();
    place
        .python_inside(
            "import socket\n\
             for path in ('/run/docker.sock', '/var/run/docker.sock', '/run/podman/podman.sock',\n\
             \x20 '/run/containerd/containerd.sock', '/run/libvirt/libvirt-sock', '/var/lib/lxd/unix.socket',\n\
             \x20 '/run/snapd.socket', '/run/systemd/private', '/run/dbus/system_bus_socket',\n\
             \x20 '/tmp/.X11-unix/X0', '/run/user/%d/bus' % os.getuid(), '/run/user/%d/pipewire-0' % os.getuid(),\n\
             \x20 '/run/user/%d/keyring/control' % os.getuid(), '/run/user/%d/gnupg/S.gpg-agent' % os.getuid()):\n\
             \x20   try: socket.socket(socket.AF_UNIX).connect(path)\n\
             \x20   except FileNotFoundError: continue\n\
             \x20   raise OSError(errno.EISCONN, path)",
        )
        .works("every one is absent");
}
