//! Metrics of the replicas that share the groups; none where there is one.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;

use crate::adapters::grpc::stats::{AnsweredBy, RpcStats};
use crate::adapters::view::GroupView;
use crate::replication::Members;
use crate::replication::view::Role;

use super::family::{About, Label, Value, counter, gauge};

const REPLICAS: About = About(
    "replicas",
    "Replicas that share the groups, as this one sees them, itself included; state is ready or joining.",
);
const GROUPS: About = About(
    "replica_groups",
    "Groups by what this replica does for them: owner, standby or bystander.",
);
const TAKEOVERS: About = About(
    "replica_takeovers",
    "Groups that this replica took over from another one with all that was known of them.",
);
const ANSWERS: About = About(
    "rpc_answers_by",
    "IsActive and GetMetrics answers, by whose they were: of this replica as the owner, of the other one that is, or of this one as the standby, because the owner did not answer.",
);

pub(super) fn write(
    encoder: &mut DescriptorEncoder<'_>,
    members: &Members,
    groups: &[GroupView],
    rpcs: &RpcStats,
) -> fmt::Result {
    let whole = |n: usize| Value::Whole(n as u64);
    let seen = members.seen();
    let ready = seen.iter().filter(|member| member.is_ready).count();
    let states = [("ready", ready), ("joining", seen.len() - ready)];
    let states = states.into_iter();
    let states = states.map(|(state, count)| ([("state", state)], whole(count)));
    gauge(encoder, REPLICAS, states)?;
    let view = members.view();
    let roles = Role::ALL.into_iter().map(|role| {
        let of_role = groups
            .iter()
            .filter(|group| view.role(&group.definition().key) == role);
        ([("role", role.as_str())], whole(of_role.count()))
    });
    gauge(encoder, GROUPS, roles)?;
    let none: [Label<'_>; 0] = [];
    let takeovers = (none, members.takeovers().into());
    counter(encoder, TAKEOVERS, [takeovers].into_iter())?;
    let answers = AnsweredBy::ALL.into_iter();
    let answers = answers.map(|by| ([("by", by.as_str())], rpcs.by(by).into()));
    counter(encoder, ANSWERS, answers)
}
