//! Prints payment files of random orders, each ended by a zero byte, for a schema validator that is not ours:
//! `cargo run -p hansa-bank --example random_orders -- SEED COUNT`. The same arguments print the same bytes.

use std::io::Write as _;

use chrono::{DateTime, Days, Utc};
use hansa_bank::{Account, Address, Characters, Party, Payment, PaymentOrder, Scheme};
use hansa_money::Currency;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    fn often(&mut self) -> bool {
        self.below(3) > 0
    }

    /// 1 to `max` characters, of which some are converted into what banks take.
    fn text(&mut self, max: usize) -> String {
        const LETTERS: &str = "abcxyzABCXYZ0189/-?:().,'+ &<>\"äößéÅŁжΩ€";
        let letters: Vec<char> = LETTERS.chars().collect();
        let length = 1 + self.below(max);
        let any = (0..length).map(|_| letters[self.below(letters.len())]);
        format!("{}x", any.collect::<String>().trim_start())
    }

    fn party(&mut self) -> Party {
        // Long enough to reach the limits, short enough for letters that become several.
        let optional = |random: &mut Self, max| random.often().then(|| random.text(max));
        Party {
            name: self.text(30),
            address: Address {
                street: optional(self, 30),
                building_number: optional(self, 6),
                postcode: optional(self, 6),
                town: self.text(16),
                country: self.pick(&["DE", "NL", "FR", "US", "JP"]).to_owned(),
            },
        }
    }

    fn account(&mut self, scheme: Scheme) -> Account {
        let ibans = [
            "DE89370400440532013000",
            "NL91ABNA0417164300",
            "FR1420041010050500013M02606",
            "BE68539007547034",
            "MT84MALT011000012345MTLCAST001S",
        ];
        if scheme == Scheme::Sepa || self.often() {
            Account::iban(self.pick(&ibans))
        } else {
            let scheme = self.often().then(|| self.pick(&["BBAN", "CUID"]));
            Account::other(&format!("{:0>12}", self.below(1 << 40)), scheme)
        }
    }

    fn order(&mut self, number: usize) -> PaymentOrder {
        let scheme = if self.often() {
            Scheme::Sepa
        } else {
            Scheme::Other
        };
        let code = match scheme {
            Scheme::Sepa => "EUR",
            Scheme::Other => self.pick(&["EUR", "USD", "JPY", "KWD"]),
        };
        let currency = Currency::new(code).unwrap_or(Currency::EUR);
        let created_at = DateTime::from_timestamp(1_775_000_000 + self.below(1 << 28) as i64, 0)
            .unwrap_or(DateTime::<Utc>::UNIX_EPOCH);
        let payments = 1 + self.below(5);
        PaymentOrder {
            message_id: format!("RANDOM-{number}"),
            created_at,
            initiating_party: self.text(30),
            debtor: self.party(),
            debtor_account: self.account(scheme),
            debtor_agent: Some(self.pick(&["COBADEFF", "COBADEFFXXX"]).to_owned()),
            execution_date: created_at.date_naive() + Days::new(self.below(5) as u64),
            scheme,
            batch_booking: self.often().then(|| self.often()),
            characters: if self.often() {
                Characters::Convert
            } else {
                Characters::ConvertGerman
            },
            payments: (0..payments)
                .map(|n| self.payment(n, scheme, currency))
                .collect(),
        }
    }

    fn payment(&mut self, number: usize, scheme: Scheme, currency: Currency) -> Payment {
        let reference = !self.often();
        let words = if scheme == Scheme::Sepa {
            !reference
        } else {
            self.often()
        };
        Payment {
            instruction_id: format!("I-{number}"),
            end_to_end_id: format!("E-{number}"),
            amount_minor: 1 + self.below(99_999_999_999 / 5) as i64,
            currency,
            creditor: self.party(),
            creditor_account: self.account(scheme),
            creditor_agent: Some(self.pick(&["ABNANL2A", "BNPAFRPP"]).to_owned()),
            remittance: words.then(|| self.text(60)),
            creditor_reference: reference.then(|| "RF18539007547034".to_owned()),
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |name: &str| -> Result<u64, Box<dyn std::error::Error>> {
        let text = arguments
            .next()
            .ok_or_else(|| format!("{name} is missing"))?;
        Ok(text.parse()?)
    };
    let (seed, count) = (number("SEED")?, number("COUNT")?);
    let mut random = Random(seed);
    let mut out = std::io::stdout().lock();
    for number in 0..usize::try_from(count)? {
        out.write_all(&random.order(number).check()?.pain001())?;
        out.write_all(&[0])?;
    }
    Ok(())
}
