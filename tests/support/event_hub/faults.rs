//! What the management node may do wrong, switched at run time.

use std::time::Duration;

/// A fault of a management read. The other reads on the connection go on unless it takes the connection with it.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The request is taken, a reply never comes.
    NeverReply,
    /// The TCP connection ends before the request's disposition.
    DropBeforeDisposition,
    /// The disposition goes out, then the TCP connection ends.
    DropAfterDisposition,
    /// The AMQP connection is closed with this condition, such as `amqp:connection:forced`.
    Close { condition: String, text: String },
    /// A reply with status 401.
    Unauthorized,
    /// A reply with status 404.
    NotFound,
    /// A reply with status 503 and the text of error 50002: throttled.
    ServerBusy,
    /// Each reply takes so long; reads of one connection wait side by side.
    Slow(Duration),
    /// Replies of one link are held until no further one comes for a moment, then sent last first.
    WrongOrder,
    /// The reply to a partition's read tells of the partition after it, its id too.
    AnotherPartition,
    /// The reply answers to a request that nobody made.
    WrongCorrelation,
}

/// Which reads a fault meets.
#[derive(Clone, Debug, PartialEq)]
pub enum Reads {
    All,
    Hub,
    Partition(String),
}

impl Reads {
    fn include(&self, partition: Option<&str>) -> bool {
        match self {
            Self::All => true,
            Self::Hub => partition.is_none(),
            Self::Partition(id) => partition == Some(id.as_str()),
        }
    }
}

struct Rule {
    reads: Reads,
    fault: Fault,
    /// None: until cleared.
    left: Option<usize>,
}

/// The faults in force; the one set last is looked at first.
#[derive(Default)]
pub struct Faults(Vec<Rule>);

impl Faults {
    pub fn add(&mut self, reads: Reads, fault: Fault, left: Option<usize>) {
        self.0.push(Rule { reads, fault, left });
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault of the read that has come in, of a partition or of the hub; counts it.
    pub fn meet(&mut self, partition: Option<&str>) -> Option<Fault> {
        self.0.retain(|rule| rule.left != Some(0));
        let rule = self
            .0
            .iter_mut()
            .rev()
            .find(|rule| rule.reads.include(partition))?;
        if let Some(left) = &mut rule.left {
            *left -= 1;
        }
        Some(rule.fault.clone())
    }
}
