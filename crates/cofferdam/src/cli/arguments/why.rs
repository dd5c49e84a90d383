//! `cofferdam why`: the words of `plan`, with a question in the command's place.

pub(super) const AFTER: &str = "Questions:
  read | write | create | delete | exec PATH
  connect HOST[:PORT] [METHOD PATH]       443 where no port is named
  use CREDENTIAL HOST
  NUMBER                                  an event of the audit log, by its `seq`
  FILE, or - for standard input           an event as `audit show --json` prints it

Examples:
  cofferdam why read ~/.ssh/id_ed25519
  cofferdam why write .git/hooks/pre-commit
  cofferdam why --grant ~/data:ro write ~/data/set.csv
  cofferdam why connect api.github.com GET /user
  cofferdam why --json use github api.github.com
  cofferdam why 1042

Nothing is run, made, or looked up; paths are relative to the working directory, and links are
followed as they would be inside.

Exit status: 0 allowed, 1 denied, 125 where `plan` would refuse or the question is none.";
