//! What is no table: head, parties, what is paid, signatures.

use crate::pdf::blocks::{self, BODY, HALF, NOTE, SMALL_CAPS, day, pair, period, title};
use crate::pdf::{CONTENT_WIDTH, Ink, LEFT, Layout, Mpt, RIGHT, Style, mm, pt};
use crate::statement::{Payment, StatementDocument, StatementParts};
use crate::text::label;

/// Whose statement of what, and whether its figures may still change.
pub(super) fn head(layout: &mut Layout<'_>, parts: &StatementParts) {
    let provisional = parts.state.is_provisional();
    let warning = provisional.then_some("PROVISIONAL: the cycle is not closed, figures may change");
    let (issuer, cycle) = (&parts.issuer, parts.cycle);
    blocks::head(
        layout,
        issuer,
        "Settlement statement",
        cycle,
        &parts.period,
        warning,
    );
}

/// Whom it is for on the left, the facts on the right.
pub(super) fn parties(layout: &mut Layout<'_>, parts: &StatementParts) {
    let merchant = &parts.merchant;
    let top = layout.y();
    layout.skip(pt(14));
    let y = layout.y();
    layout.text(LEFT, y, "STATEMENT FOR", SMALL_CAPS);
    layout.skip(pt(3));
    let width = HALF - mm(6);
    layout.paragraph(
        LEFT,
        width,
        &merchant.name,
        Style::new(10_500, Ink::Text).bold(),
    );
    for line in &merchant.address {
        layout.paragraph(LEFT, width, line, BODY);
    }
    let left = layout.y();

    layout.set_y(top + pt(14));
    let mut fact = |name: &str, value: &str| pair(layout, LEFT + HALF, mm(32), HALF, name, value);
    fact("Merchant id", &merchant.id);
    if let Some(tax_id) = &merchant.tax_id {
        fact("Tax number", tax_id);
    }
    if let Some(tax) = &merchant.tax {
        fact("Tax category", &tax.label());
    }
    fact("Currency", parts.currency.as_str());
    fact("Days are those of", parts.period.zone.name());
    fact("State of the cycle", &label(parts.state.code()));
    if let Some(account) = &merchant.settlement_account {
        fact("Account", &account.grouped());
    }
    let right = layout.y();
    layout.set_y(left.max(right) + pt(8));
}

/// Net, payment and carried forward, large; then how it is paid, and what the signs mean.
pub(super) fn headline(layout: &mut Layout<'_>, document: &StatementDocument) {
    let parts = document.parts();
    let height = pt(66);
    layout.keep(height);
    let top = layout.y();
    layout.area(LEFT, top, CONTENT_WIDTH, height, Ink::Tint);
    layout.area(LEFT, top, pt(3), height, Ink::Accent);
    let (first, third) = (LEFT + mm(6), RIGHT - mm(6));
    let middle = LEFT + CONTENT_WIDTH / 3;
    let paid = document.paid();
    let figure = Style::new(12_500, Ink::Text);
    let caption = top + pt(15);
    let base = top + pt(40);
    layout.text(first, caption, "NET OF THE CYCLE", SMALL_CAPS);
    let third_wide = CONTENT_WIDTH / 3 - mm(9);
    let net = parts.net.signed();
    let style = layout.fonts.fitted(&net, figure, third_wide);
    layout.text(first, base, &net, style);
    layout.text(middle, caption, "PAYMENT", SMALL_CAPS);
    let amount = format!("{} {}", paid.unsigned_minor(parts.currency), parts.currency);
    layout.text(
        middle,
        base,
        &amount,
        Style::new(20_000, Ink::Accent).bold(),
    );
    let direction = match (paid.micros().signum(), parts.payments.len()) {
        (0, 0) => "nothing is paid; the rest is carried forward".into(),
        (0, count) => format!("{count} payments that even out, listed below"),
        (1, 1) => "you pay".into(),
        (1, count) => format!("you pay in all, in {count} payments listed below"),
        (_, 1) => "you are paid".to_owned(),
        (_, count) => format!("you are paid in all, in {count} payments listed below"),
    };
    let direction = match parts.payments.as_slice() {
        [payment] if payment.instruction.is_none() => {
            format!("{direction}, once a settlement is approved")
        }
        _ => direction,
    };
    layout.text(middle, top + pt(56), &direction, BODY.bold());
    layout.text_right(third, caption, "CARRIED FORWARD", SMALL_CAPS);
    let carried = parts.carried_forward.signed();
    let style = layout.fonts.fitted(&carried, figure, third_wide);
    layout.text_right(third, base, &carried, style);
    layout.set_y(top + height + pt(12));
    if let [payment] = parts.payments.as_slice() {
        payment_details(layout, payment);
    }
    let currency = parts.currency;
    let signs = format!(
        "Amounts in {currency}. A plus (+) is what {} owes, a minus (\u{2212}) what it is owed. All amounts are exact to \
         six decimals; only a payment is rounded, and what it leaves is carried forward.",
        parts.merchant.name
    );
    layout.paragraph(LEFT, CONTENT_WIDTH, &signs, NOTE);
}

fn payment_details(layout: &mut Layout<'_>, payment: &Payment) {
    let top = layout.y() + pt(4);
    layout.set_y(top);
    let mut fact =
        |x: Mpt, name: &str, value: &str| pair(layout, x, mm(24), HALF - mm(4), name, value);
    if let Some(account) = &payment.account {
        fact(LEFT, "To", &account.holder);
        fact(LEFT, "Account", &account.grouped());
        if let Some(bic) = &account.bic {
            fact(LEFT, "BIC", bic);
        }
    }
    fact(LEFT, "With", payment.counterparty.name());
    let left = layout.y();
    layout.set_y(top);
    let mut fact = |name: &str, value: &str| pair(layout, LEFT + HALF, mm(32), HALF, name, value);
    if let Some(due) = payment.due_on {
        fact("Due", &day(due));
    }
    if let Some(reference) = &payment.reference {
        fact("Reference", reference);
    }
    if let Some(instruction) = &payment.instruction {
        fact("Instruction", instruction);
    }
    if let Some(state) = &payment.state {
        fact("State", &state.label());
    }
    let right = layout.y();
    layout.set_y(left.max(right));
}

/// Two places to sign, on one page. What may still change is not signed.
pub(super) fn signatures(layout: &mut Layout<'_>, document: &StatementDocument) {
    let parts = document.parts();
    if parts.state.is_provisional() {
        return;
    }
    let height = pt(112);
    title(layout, "Signatures", height);
    layout.skip(pt(4));
    let text = format!(
        "Cycle {}, {}: net {}\u{a0}{}, payment {}\u{a0}{}, carried forward {}\u{a0}{}.",
        parts.cycle,
        period(&parts.period),
        parts.net.signed(),
        parts.currency,
        document.paid().unsigned_minor(parts.currency),
        parts.currency,
        parts.carried_forward.signed(),
        parts.currency,
    );
    layout.paragraph(LEFT, CONTENT_WIDTH, &text, BODY);
    let line = layout.y() + pt(46);
    let width = HALF - mm(8);
    let mut lowest = line;
    for (x, who) in [
        (LEFT, &parts.issuer.alliance),
        (LEFT + HALF + mm(8), &parts.merchant.name),
    ] {
        layout.rule(x, line, width, 600, Ink::Text);
        layout.set_y(line + pt(2));
        layout.paragraph(x, width, "Place, date, name, signature", NOTE);
        layout.paragraph(x, width, &format!("for {who}"), BODY);
        lowest = lowest.max(layout.y());
    }
    layout.set_y(lowest);
}
