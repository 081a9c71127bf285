use super::*;

/// 600 publishers; one in twenty is a fraud with much of `dup_rate` and a little more of `b`; `c` is noise.
fn publishers(label: impl Fn(usize, bool) -> Label) -> Table {
    let columns = ["dup_rate", "b", "c"].map(str::to_owned).to_vec();
    let mut table = Table::new(columns).expect("columns");
    let mut rng = rng::Rng::new(3, 0);
    for at in 0..600 {
        let fraud = at % 20 == 0;
        let lift = if fraud { 1.2 } else { 0.0 };
        let row = [
            (1.0 + lift + rng.unit()) as f32,
            (lift / 2.0 + rng.unit()) as f32,
            rng.unit() as f32,
        ];
        table
            .push(label(at, fraud), &row)
            .expect("as wide as the head");
    }
    table
}

fn known(_: usize, fraud: bool) -> Label {
    if fraud { Label::Fraud } else { Label::Honest }
}

fn small() -> Parameters {
    Parameters {
        seeds: 1,
        trees: 30,
        rounds: 30,
        ..Parameters::default()
    }
}

fn precision(model: &Model) -> f64 {
    let table = publishers(known);
    let scores = model.score(&table).expect("the same columns");
    average_precision(table.labels(), &scores).expect("frauds")
}

#[test]
fn what_is_learnt_depends_on_what_the_labels_allow_and_ranks_frauds_first() {
    let few = |at: usize, fraud: bool| match (fraud, at) {
        (true, 0..=100) => Label::Fraud,
        _ => Label::Unknown,
    };
    for (label, regime, least) in [
        (
            &known as &dyn Fn(usize, bool) -> Label,
            Regime::Supervised,
            0.95,
        ),
        (&few, Regime::FewLabels, 0.85),
        (&|_, _| Label::Unknown, Regime::Unsupervised, 0.6),
    ] {
        let model = Model::train(&publishers(label), &small(), 1).expect("rows");
        assert_eq!(model.regime(), regime);
        let found = precision(&model);
        assert!(found >= least, "{regime:?}: {found}");
    }
}

#[test]
fn each_learner_alone_finds_frauds_that_it_did_not_see() {
    let train = publishers(known);
    for boosted in [0.0, 1.0] {
        let parameters = Parameters {
            boosted,
            prior: 0.0,
            ..small()
        };
        let model = Model::train(&train, &parameters, 1).expect("rows");
        let mut unseen = Table::new(train.columns().to_vec()).expect("columns");
        for fraud in [2.4_f32, 1.2] {
            unseen
                .push(Label::Unknown, &[fraud, fraud / 2.0, 0.5])
                .expect("width");
        }
        let scores = model.score(&unseen).expect("the same columns");
        assert!(scores[0] > 0.5 && scores[1] < 0.1, "{boosted}: {scores:?}");
    }
}

#[test]
fn the_same_table_parameters_and_seed_give_the_same_scores_to_the_last_bit() {
    let train = publishers(known);
    let bits = |seed| -> Vec<u64> {
        let model = Model::train(&train, &small(), seed).expect("rows");
        let scores = model.score(&train).expect("the same columns");
        scores.iter().map(|score| score.to_bits()).collect()
    };
    assert_eq!(bits(1), bits(1));
    assert_ne!(bits(1), bits(2));
}

#[test]
fn what_the_features_add_sums_to_the_score_and_the_guilty_feature_is_first() {
    for label in [&known as &dyn Fn(usize, bool) -> Label, &|_, _| {
        Label::Unknown
    }] {
        let train = publishers(label);
        let model = Model::train(&train, &small(), 1).expect("rows");
        let scores = model.score(&train).expect("the same columns");
        let why = model
            .explain(&train, 0)
            .expect("the same columns")
            .expect("a row");
        let sum: f64 = why.parts.iter().map(|(_, _, added)| added).sum();
        assert!((why.base + sum - why.log_odds).abs() < 1e-6, "{why:?}");
        assert!((boost::logistic(why.log_odds) - scores[0]).abs() < 1e-12);
        assert_eq!(why.parts[0].0, "dup_rate", "{why:?}");
        assert_eq!(model.explain(&train, 600).expect("the same columns"), None);
    }
}

#[test]
fn columns_are_found_by_name_and_a_missing_one_is_named() {
    let train = publishers(known);
    let model = Model::train(&train, &small(), 1).expect("rows");
    let mut other =
        Table::new(["x", "c", "dup_rate", "b"].map(str::to_owned).to_vec()).expect("columns");
    for row in train.rows() {
        other
            .push(Label::Unknown, &[9.0, row[2], row[0], row[1]])
            .expect("width");
    }
    assert_eq!(model.score(&other), model.score(&train));
    let less = Table::new(["dup_rate", "b"].map(str::to_owned).to_vec()).expect("columns");
    assert_eq!(
        model.score(&less),
        Err(TableError::Missing {
            column: "c".to_owned()
        })
    );
}

#[test]
fn missing_values_and_tables_without_rows_are_no_accident() {
    let empty = Table::new(vec!["a".to_owned()]).expect("a column");
    assert!(matches!(
        Model::train(&empty, &small(), 1),
        Err(TableError::NoRow)
    ));
    let mut holes = Table::new(vec!["a".to_owned(), "b".to_owned()]).expect("columns");
    for at in 0..60_u8 {
        let fraud = at % 6 == 0;
        // A fraud is known by the value that it lacks.
        let a = if fraud { f32::NAN } else { f32::from(at % 5) };
        holes
            .push(known(0, fraud), &[a, f32::from(at % 7)])
            .expect("width");
    }
    let parameters = Parameters {
        least_rows: 2,
        prior: 0.0,
        ..small()
    };
    let model = Model::train(&holes, &parameters, 1).expect("rows");
    let scores = model.score(&holes).expect("the same columns");
    assert!(scores.iter().all(|score| score.is_finite()), "{scores:?}");
    assert!(average_precision(holes.labels(), &scores).expect("frauds") > 0.9);
    assert!(matches!(
        Table::new(vec!["a".to_owned(), "a".to_owned()]),
        Err(TableError::Twice { .. })
    ));
    assert!(matches!(
        holes.push(Label::Unknown, &[1.0]),
        Err(TableError::Width {
            row: 61,
            got: 1,
            want: 2
        })
    ));
}
