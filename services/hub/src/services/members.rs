//! `MemberService`: enrolment, balances, lots.

use hansa_proto::v1::{self, member_service_server::MemberService};
use hansa_settlement::Instant;
use tonic::Request;

use super::{Answer, Api, ok, page};
use crate::{
    convert::timestamp,
    error::HubError,
    sequencer::{MemberView, references::Reference},
};

/// Enrolments in one call at most.
const MAX_ENROLMENTS: usize = 4_000;

impl Api {
    fn alias_hash(&self, key: &[u8]) -> [u8; 16] {
        let tag = ring::hmac::sign(&self.0.alias_key, key);
        let mut hash = [0; 16];
        hash.copy_from_slice(&tag.as_ref()[..16]);
        hash
    }

    async fn member_view(&self, merchant: u32, reference: &[u8]) -> Result<MemberView, HubError> {
        let reference = Reference::try_from(reference).map_err(|_| {
            HubError::field(
                "member_reference",
                "LENGTH",
                "a member reference has 16 bytes",
            )
        })?;
        let view = self.0.sequencer.member(merchant, reference).await?;
        // A read that was answered by an owner that has lost the log meanwhile is worth nothing.
        self.0.ownership.check()?;
        view.ok_or_else(|| HubError::not_found("the member reference"))
    }
}

#[tonic::async_trait]
impl MemberService for Api {
    async fn enrol_members(
        &self,
        request: Request<v1::EnrolMembersRequest>,
    ) -> Answer<v1::EnrolMembersResponse> {
        let caller = self.caller(&request)?;
        let (slug, merchant) = caller.merchant()?;
        let keys = request.into_inner().enrolment_keys;
        if keys.is_empty() || keys.len() > MAX_ENROLMENTS {
            return Err(HubError::field("enrolment_keys", "COUNT", "1 to 4 000 in a call").into());
        }
        let mut aliases = Vec::with_capacity(keys.len());
        for (index, key) in keys.iter().enumerate() {
            if !(16..=64).contains(&key.len()) {
                let field = format!("enrolment_keys[{index}]");
                return Err(HubError::field(
                    &field,
                    "LENGTH",
                    "16 to 64 bytes, a keyed hash of the identifier",
                )
                .into());
            }
            aliases.push(self.alias_hash(key));
        }
        let references = self
            .0
            .sequencer
            .enrol(merchant, slug.to_owned(), aliases)
            .await?;
        ok(v1::EnrolMembersResponse {
            member_references: references.iter().map(|r| r.to_vec()).collect(),
        })
    }

    async fn get_balance(
        &self,
        request: Request<v1::GetBalanceRequest>,
    ) -> Answer<v1::GetBalanceResponse> {
        let caller = self.caller(&request)?;
        let (_, merchant) = caller.merchant()?;
        let view = self
            .member_view(merchant, &request.into_inner().member_reference)
            .await?;
        let member = &view.member;
        ok(v1::GetBalanceResponse {
            available_points: member.available(Instant(view.now)),
            held_points: member.held(),
            debt_points: member.debt(),
            pending_points: member.pending(),
            as_of_leaf: view.size.checked_sub(1),
            as_of: Some(timestamp(view.now)),
        })
    }

    async fn list_lots(
        &self,
        request: Request<v1::ListLotsRequest>,
    ) -> Answer<v1::ListLotsResponse> {
        let caller = self.caller(&request)?;
        let (slug, merchant) = caller.merchant()?;
        let request = request.into_inner();
        let size = page::size(request.page_size, 100)?;
        let start =
            usize::try_from(page::start(&request.page_token, "lots")?).unwrap_or(usize::MAX);
        let view = self
            .member_view(merchant, &request.member_reference)
            .await?;
        let funders = self.funders(&view).await?;
        let lots: Vec<v1::Lot> = view
            .member
            .lots()
            .iter()
            .zip(funders)
            .skip(start)
            .take(size)
            .map(|(lot, funder)| v1::Lot {
                leaf_index: lot.key.pos.seq(),
                entry_position: lot.key.pos.index(),
                part: lot.key.part.into(),
                remaining_points: lot.remaining,
                held_points: lot.held,
                posted_time: Some(timestamp(lot.posted_at.0)),
                expires_time: (lot.expires_at != Instant::NEVER)
                    .then(|| timestamp(lot.expires_at.0)),
                // Who funds another merchant's points is that merchant's business.
                funder_merchant_id: if funder == slug {
                    funder
                } else {
                    String::new()
                },
            })
            .collect();
        let end = start.saturating_add(lots.len());
        let next_page_token = if end < view.member.lots().len() {
            page::token("lots", end as u64)
        } else {
            String::new()
        };
        ok(v1::ListLotsResponse {
            lots,
            next_page_token,
        })
    }
}

impl Api {
    async fn funders(&self, view: &MemberView) -> Result<Vec<String>, HubError> {
        let prices: Vec<_> = view.member.lots().iter().map(|lot| lot.price).collect();
        self.read(move |view| {
            let slug = |price| {
                view.registry
                    .slug(view.global.book().get(price).funder.0)
                    .to_owned()
            };
            Ok(prices.into_iter().map(slug).collect())
        })
        .await
    }
}
