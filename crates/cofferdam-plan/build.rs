//! Puts a digest of the sources of plan, policy, init, gateway and sys into `COFFERDAM_BUILD`.
//!
//! FNV-1a with 128 bits: this tells builds apart, it does not authenticate them.

use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    let mut files = Vec::new();
    let crates = ["plan", "policy", "init", "gateway", "sys"];
    for crate_name in crates.map(|name| format!("cofferdam-{name}")) {
        let source = Path::new("..").join(crate_name).join("src");
        println!("cargo::rerun-if-changed={}", source.display());
        gather(&source, &mut files);
    }
    files.sort();
    let mut digest: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for file in files {
        for byte in fs::read(&file).unwrap_or_default() {
            digest =
                (digest ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }
    let version = env!("CARGO_PKG_VERSION");
    println!("cargo::rustc-env=COFFERDAM_BUILD={version}-{digest:032x}");
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            gather(&path, files);
        } else {
            files.push(path);
        }
    }
}
