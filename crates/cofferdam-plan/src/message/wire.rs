//! Wire forms of what the engine and the gateway tell each other: nothing of it comes to init.

use super::{Malformed, Wire};
use crate::message::{
    Believed, Ended, FromGateway, HttpVersion, Lacking, Lent, Question, Requested, StandIn,
    ToGateway, Way, Went,
};

wire_struct!(Ended {
    way,
    host,
    port,
    protocol,
    address,
    clause,
    verdict,
    why,
    fix,
    sent,
    received,
    duration_ms,
    times,
    request
});
wire_enum!(Way { 0 => Direct, 1 => Proxy, 2 => Socks, 3 => Lookup, 4 => Published, 5 => Agent });
wire_enum!(Went { 0 => Allowed, 1 => Denied { code }, 2 => Failed { code } });
wire_enum!(FromGateway {
    0 => Ready { build },
    1 => Failed { doing, errno },
    2 => Begun { count },
    3 => Ended(ended),
    4 => Waits,
    5 => Counted(ended),
    6 => Authority { certificate },
    7 => Applied { generation },
    8 => Asks(question),
    9 => AsksNoMore { id },
    10 => StandIns { made },
    11 => Lacks(lacking),
    12 => Unread { name, code },
    13 => Refreshed { name, kept },
});
wire_struct!(Believed { system, named });
wire_struct!(Lent { secrets, variables, vault, passphrase });
wire_enum!(ToGateway {
    0 => Egress { user },
    1 => Sockets,
    2 => Room { places },
    3 => Finish,
    4 => Rules { generation },
    5 => Answer { id, allowed },
    6 => Revoke { name },
    7 => Rotate { name },
    8 => Agent,
});
wire_struct!(Requested { version, method, path, status });
wire_enum!(HttpVersion { 0 => Http10, 1 => Http11, 2 => Http2 });
wire_struct!(StandIn { name, value });
wire_struct!(Lacking { name, clause, code, why, fix });
wire_struct!(Question { id, host, port, protocol, method, path });
