//! The fraud module's words, as the wire has them.

use hansa_fraud::{
    Typology,
    act::{Mode, Outcome, Severity},
    verdict::Band,
};
use hansa_proto::v1::{FraudBand, FraudMode, FraudOutcome, FraudScheme, FraudSeverity};

/// A scheme.
pub const fn scheme(typology: Typology) -> FraudScheme {
    match typology {
        Typology::DeclaredBot => FraudScheme::DeclaredBot,
        Typology::MasqueradingBot => FraudScheme::MasqueradingBot,
        Typology::ClickDuplicate => FraudScheme::ClickDuplicate,
        Typology::ClickFlood => FraudScheme::ClickFlood,
        Typology::ClickInjection => FraudScheme::ClickInjection,
        Typology::CouponHijack => FraudScheme::CouponHijack,
        Typology::CookieStuffing => FraudScheme::CookieStuffing,
        Typology::SelfReferral => FraudScheme::SelfReferral,
        Typology::DuplicateIdentity => FraudScheme::DuplicateIdentity,
        Typology::FakeConversion => FraudScheme::FakeConversion,
        Typology::ForgedPostback => FraudScheme::ForgedPostback,
        Typology::BannedSource => FraudScheme::BannedSource,
        Typology::LowQuality => FraudScheme::LowQuality,
    }
}

/// The scheme that the wire names.
pub fn typology(wire: FraudScheme) -> Option<Typology> {
    Typology::ALL
        .into_iter()
        .find(|typology| scheme(*typology) == wire)
}

/// How sure.
pub const fn band(band: Band) -> FraudBand {
    match band {
        Band::Hold => FraudBand::Hold,
        Band::Flag => FraudBand::Flag,
        Band::Watch | Band::Clear | Band::InsufficientEvidence => FraudBand::Unspecified,
    }
}

/// A mode.
pub const fn mode(mode: Mode) -> FraudMode {
    match mode {
        Mode::Shadow => FraudMode::Shadow,
        Mode::Flag => FraudMode::Flag,
        Mode::Hold => FraudMode::Hold,
    }
}

/// The mode that the wire names.
pub const fn read_mode(wire: FraudMode) -> Option<Mode> {
    match wire {
        FraudMode::Unspecified => None,
        FraudMode::Shadow => Some(Mode::Shadow),
        FraudMode::Flag => Some(Mode::Flag),
        FraudMode::Hold => Some(Mode::Hold),
    }
}

/// An outcome.
pub const fn outcome(outcome: Outcome) -> FraudOutcome {
    match outcome {
        Outcome::Confirmed => FraudOutcome::Confirmed,
        Outcome::Valuable => FraudOutcome::Valuable,
        Outcome::FalsePositive => FraudOutcome::FalsePositive,
        Outcome::InsufficientEvidence => FraudOutcome::InsufficientEvidence,
    }
}

/// The outcome that the wire names.
pub const fn read_outcome(wire: FraudOutcome) -> Option<Outcome> {
    match wire {
        FraudOutcome::Unspecified => None,
        FraudOutcome::Confirmed => Some(Outcome::Confirmed),
        FraudOutcome::Valuable => Some(Outcome::Valuable),
        FraudOutcome::FalsePositive => Some(Outcome::FalsePositive),
        FraudOutcome::InsufficientEvidence => Some(Outcome::InsufficientEvidence),
    }
}

/// How grave.
pub const fn severity(severity: Severity) -> FraudSeverity {
    match severity {
        Severity::Low => FraudSeverity::Low,
        Severity::Medium => FraudSeverity::Medium,
        Severity::High => FraudSeverity::High,
    }
}

/// How grave, as the wire names it.
pub const fn read_severity(wire: FraudSeverity) -> Option<Severity> {
    match wire {
        FraudSeverity::Unspecified => None,
        FraudSeverity::Low => Some(Severity::Low),
        FraudSeverity::Medium => Some(Severity::Medium),
        FraudSeverity::High => Some(Severity::High),
    }
}
