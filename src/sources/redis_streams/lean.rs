//! Entries without their bodies: where these are large, a script that only reads returns the ids and how large each entry is. The server
//! has no command for that. Without the permission for scripts the bodies cross the wire.

use redis::{Pipeline, Value};

use super::answer::PageWanted;
use super::{id, key};
use crate::model::sample::Position;

/// Entries of so many bytes are read by script: below, a script costs the server more than the bodies cost the network.
const LARGE: usize = 4 << 10;

/// Replaces an entry's fields by their size, in a reply's list of entries.
const LEAN: &str = "local function lean(e)
 if type(e) ~= 'table' or type(e[2]) ~= 'table' then return e end
 local bytes = 0
 for _, part in ipairs(e[2]) do bytes = bytes + #part + 16 end
 return {e[1], tostring(bytes)}
end
local function page(after, last, count)
 local found = redis.pcall('XRANGE', KEYS[1], after, last, 'COUNT', count)
 if found.err then return found end
 for i = 1, #found do found[i] = lean(found[i]) end
 return found
end
";

/// Stream, groups, oldest pending entry and a page of entries, as far as asked for: what a transaction would return.
const FRAME: &str = "local stream = redis.pcall('XINFO', 'STREAM', KEYS[1])
for i = 1, #stream, 2 do
 if stream[i] == 'first-entry' or stream[i] == 'last-entry' then stream[i + 1] = lean(stream[i + 1]) end
end
local all = {stream}
if ARGV[1] ~= '' then
 all[2] = redis.pcall('XINFO', 'GROUPS', KEYS[1])
 all[3] = redis.pcall('XPENDING', KEYS[1], ARGV[1], '-', '+', 1)
end
if ARGV[2] then all[#all + 1] = page(ARGV[2], '+', ARGV[3]) end
return all";

/// The command by which a server runs such a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scripting {
    /// Since Redis 7.0: it cannot write.
    ReadOnly,
    /// Before.
    Plain,
}

impl Scripting {
    const ALL: [Self; 2] = [Self::ReadOnly, Self::Plain];

    const fn command(self) -> &'static str {
        match self {
            Self::ReadOnly => "EVAL_RO",
            Self::Plain => "EVAL",
        }
    }

    /// Asks which of them the server allows; [`Self::found`] reads the replies.
    pub fn ask(commands: &mut Pipeline) {
        for way in Self::ALL {
            commands.cmd(way.command()).arg("return 1").arg(0);
        }
    }

    /// The first that was allowed.
    pub fn found(replies: &[Value]) -> Option<Self> {
        let mut ways = Self::ALL.into_iter().zip(replies);
        let found = ways.find(|(_, reply)| **reply == Value::Int(1));
        found.map(|(way, _)| way)
    }

    /// Asks for what is told of a key at one moment, in one command.
    pub fn frame(self, commands: &mut Pipeline, key: &str, group: &str, page: Option<PageWanted>) {
        let command = commands.cmd(self.command());
        command.arg(format!("{LEAN}{FRAME}")).arg(1);
        command.arg(key::sent(key)).arg(group);
        if let Some(page) = page {
            let after = format!("({}", id::text(page.after));
            command.arg(after).arg(page.limit);
        }
    }
}

/// Whether entries of that size are read without their bodies, if the server lets them.
pub const fn is_large(entry_bytes: usize) -> bool {
    entry_bytes >= LARGE
}

/// Asks for entries after one id, up to another, at most so many.
pub fn range(
    commands: &mut Pipeline,
    way: Option<Scripting>,
    key: &str,
    (after, until): (Position, Position),
    limit: usize,
) {
    let (after, until) = (format!("({}", id::text(after)), id::text(until));
    match way {
        Some(way) => {
            let script = format!("{LEAN}return page(ARGV[1], ARGV[2], ARGV[3])");
            let command = commands.cmd(way.command()).arg(script).arg(1);
            command.arg(key::sent(key)).arg(after).arg(until).arg(limit);
        }
        None => {
            let command = commands.cmd("XRANGE").arg(key::sent(key));
            command.arg(after).arg(until).arg("COUNT").arg(limit);
        }
    }
}
