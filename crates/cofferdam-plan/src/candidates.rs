//! Which programs a command may mean.

use crate::plan::Workload;

impl Workload {
    /// Paths to try for the command, in order, as `execvp(3)` does; none for an empty command.
    #[must_use]
    pub fn candidates(&self) -> Vec<Vec<u8>> {
        let Some(name) = self.command.first().map(|word| &word.0).filter(|name| !name.is_empty())
        else {
            return Vec::new();
        };
        if name.contains(&b'/') {
            return vec![name.clone()];
        }
        let join = |directory: &std::path::PathBuf| {
            let mut path = directory.as_os_str().as_encoded_bytes().to_vec();
            path.push(b'/');
            path.extend_from_slice(name);
            path
        };
        self.search.iter().map(join).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::{Argument, Streams, Workload};

    #[test]
    fn what_a_command_may_mean() {
        let of = |name: &str| {
            let workload = Workload {
                command: vec![Argument(name.into())],
                search: vec!["/usr/bin".into(), "/opt".into()],
                environment: Vec::new(),
                masked: Vec::new(),
                directory: "/w".into(),
                streams: Streams::default(),
            };
            let found = workload.candidates().into_iter().map(String::from_utf8);
            found.collect::<Result<Vec<_>, _>>().unwrap()
        };
        assert_eq!(of("make"), ["/usr/bin/make", "/opt/make"]);
        assert_eq!(of("./make"), ["./make"], "a path is no name");
        assert_eq!(of("/bin/sh"), ["/bin/sh"]);
        assert!(of("").is_empty(), "nothing is no command");
    }
}
