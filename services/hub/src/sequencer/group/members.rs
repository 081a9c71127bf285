//! Enrolment, and a member as a reader sees it.

use hansa_proto::v1;
use hansa_settlement::{Instant, Pos, due_mut};
use hansa_store::{AliasRow, ReferenceRow};
use ring::rand::SecureRandom as _;

use super::{Answer, Deciding};
use crate::{
    error::HubError,
    sequencer::{MemberView, Reply},
};

impl Deciding<'_> {
    pub(super) fn enrol(
        &mut self,
        merchant: u32,
        slug: String,
        aliases: &[[u8; 16]],
        reply: Reply<Vec<[u8; 16]>>,
    ) -> Result<(), HubError> {
        let mut references = Vec::with_capacity(aliases.len());
        let mut enrolments = Vec::new();
        for alias in aliases {
            let known = self.fetched.aliases.get(alias).copied();
            // The same group, or the same call, may have enrolled it a moment ago.
            let (member, new) = match known.or_else(|| self.new_members.get(alias).copied()) {
                Some(member) => (member, false),
                None => {
                    let member = self.state.next_member;
                    self.state.next_member += 1;
                    self.group.aliases.push(AliasRow {
                        hash: *alias,
                        member,
                    });
                    self.new_members.insert(*alias, member);
                    (member, true)
                }
            };
            let enrolled = self.fetched.enrolled.get(&(merchant, member)).copied();
            let enrolled =
                enrolled.or_else(|| self.new_references.get(&(merchant, member)).copied());
            if let Some(reference) = enrolled {
                references.push(reference);
                continue;
            }
            let mut reference = [0; 16];
            ring::rand::SystemRandom::new()
                .fill(&mut reference)
                .map_err(|_| HubError::internal("the system gives no random bytes"))?;
            self.group.references.push(ReferenceRow {
                merchant,
                reference,
                member,
            });
            self.new_references.insert((merchant, member), reference);
            self.state.references.insert(merchant, reference, member);
            enrolments.push(v1::members_enrolled::Enrolment {
                member_reference: reference.to_vec(),
                member_number: member,
                alias_hash: if new { alias.to_vec() } else { Vec::new() },
            });
            references.push(reference);
        }
        if !enrolments.is_empty() {
            let actor = format!("merchant:{slug}");
            let fact = v1::MembersEnrolled {
                merchant_id: slug,
                enrolments,
            };
            let fact = v1::Fact {
                fact: Some(v1::fact::Fact::MembersEnrolled(fact)),
            };
            self.write_facts(vec![fact], actor, Vec::new());
        }
        self.answers.push(Answer::Enrol(reply, references));
        Ok(())
    }

    pub(super) fn read_member(
        &mut self,
        merchant: u32,
        reference: &[u8; 16],
        reply: Reply<Option<MemberView>>,
    ) -> Result<(), HubError> {
        let number = self.state.references.get(merchant, reference);
        let number = number.or_else(|| {
            self.fetched
                .references
                .get(&(merchant, *reference))
                .copied()
        });
        let view = match number {
            None => None,
            Some(number) => {
                let mut member = self.state.member(number)?;
                let pos = Pos::new(self.state.next_seq, 0);
                due_mut(
                    &self.state.global,
                    &mut member,
                    Instant(self.decided_at),
                    pos,
                );
                Some(MemberView {
                    member,
                    size: self.state.next_seq,
                    now: self.decided_at,
                })
            }
        };
        self.answers.push(Answer::Member(reply, Box::new(view)));
        Ok(())
    }
}
