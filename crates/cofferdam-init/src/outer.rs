//! The program that makes the namespaces and the view in init's place: this process becomes it, and init
//! is started anew inside, by a descriptor of its own program.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

use cofferdam_plan::plan::{Outer, Word};
use cofferdam_sys::process::execve;
use rustix::fs::{MemfdFlags, Mode, memfd_create};
use rustix::io::{FdFlags, fcntl_setfd};

use crate::steps::Stage;
use crate::{Doing, Failed};

/// Becomes the program of `outer`, by the first of `given`; the second is where it says who its child is.
/// Comes back only where that failed.
pub(crate) fn become_program(
    outer: &Outer,
    mut stage: Stage<'_>,
    given: Vec<OwnedFd>,
    umask: Mode,
) -> Result<(), Failed> {
    let missing = || Failed { doing: "start a program that was not given".into(), errno: 0 };
    let [program, said] = <[OwnedFd; 2]>::try_from(given).map_err(|_| missing())?;
    // As long as this process may still read it.
    let init: OwnedFd = File::open("/proc/self/exe").doing("open init's own program")?.into();
    for step in &outer.before {
        stage.perform(step)?;
    }
    let doing = "hand over the options";
    let mut read = Vec::new();
    let mut options = Vec::new();
    for word in outer.options.iter().flatten() {
        match word {
            Word::Text(text) => options.extend_from_slice(&text.0),
            Word::Said => options.extend(number(&said)),
            Word::Content(content) => {
                let file = in_memory(content.as_bytes()).doing(doing)?;
                options.extend(number(&file));
                read.push(file);
            }
        }
        options.push(0);
    }
    let options = in_memory(&options).doing(doing)?;
    rustix::stdio::dup2_stderr(&said).doing(doing)?;
    for kept in [&init, &said] {
        fcntl_setfd(kept, FdFlags::empty()).doing(doing)?;
    }
    // By a path that holds here and, as `/proc` is mounted there, inside.
    let opened = |file: &OwnedFd| format!("/proc/self/fd/{}", file.as_raw_fd()).into_bytes();
    let name = outer.program.path.file_name().unwrap_or_default().as_encoded_bytes();
    let words = [name, b"--args", &number(&options), b"--", &opened(&init)].map(CString::new);
    let words: Vec<CString> = words.into_iter().collect::<Result<_, _>>().doing(doing)?;
    let path = CString::new(opened(&program)).doing(doing)?;
    // For the workload; init takes it off again.
    rustix::process::umask(umask);
    Err(execve(&path, &words, &[])).doing(format_args!("start {}", outer.program.path.display()))
}

fn number(file: &OwnedFd) -> Vec<u8> {
    file.as_raw_fd().to_string().into_bytes()
}

/// A file in memory that the program inherits and reads from its begin.
fn in_memory(bytes: &[u8]) -> io::Result<OwnedFd> {
    let file = File::from(memfd_create("cofferdam-option", MemfdFlags::empty())?);
    file.write_all_at(bytes, 0)?;
    Ok(file.into())
}
