//! The table that a scorer learns from and scores: a row per publisher, a column per feature, and what reviews said.

/// What is known of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    /// A review confirmed fraud.
    Fraud,
    /// A review found none.
    Honest,
    /// Nobody looked.
    Unknown,
}

/// Why a table is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// No feature column.
    #[error(
        "the table has no feature column; name at least one besides the row's id and its status"
    )]
    NoFeature,
    /// No row.
    #[error("the table has no row")]
    NoRow,
    /// A row of another width.
    #[error("row {row} has {got} features where the head names {want}")]
    Width {
        /// The row, from 1.
        row: usize,
        /// Its features.
        got: usize,
        /// The head's.
        want: usize,
    },
    /// Two columns of one name.
    #[error("the column `{column}` is named twice")]
    Twice {
        /// Its name.
        column: String,
    },
    /// A column that the model was trained on is missing.
    #[error("the column `{column}`, which the model was trained on, is missing")]
    Missing {
        /// Its name.
        column: String,
    },
}

/// Rows of features, in the order of their file. A value that is missing or no number is `NaN`.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<String>,
    values: Vec<f32>,
    labels: Vec<Label>,
}

impl Table {
    /// A table of these columns without rows.
    ///
    /// # Errors
    /// [`TableError`]: no column, or two of one name.
    pub fn new(columns: Vec<String>) -> Result<Self, TableError> {
        if columns.is_empty() {
            return Err(TableError::NoFeature);
        }
        let mut sorted: Vec<&String> = columns.iter().collect();
        sorted.sort_unstable();
        if let Some([column, _]) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(TableError::Twice {
                column: (*column).clone(),
            });
        }
        Ok(Self {
            columns,
            values: Vec::new(),
            labels: Vec::new(),
        })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`TableError::Width`] where it has not a value for each column.
    pub fn push(&mut self, label: Label, features: &[f32]) -> Result<(), TableError> {
        if features.len() != self.columns.len() {
            return Err(TableError::Width {
                row: self.labels.len() + 1,
                got: features.len(),
                want: self.columns.len(),
            });
        }
        self.values.extend_from_slice(features);
        self.labels.push(label);
        Ok(())
    }

    /// The columns' names.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// What is known of each row.
    #[must_use]
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// How many rows have this label.
    #[must_use]
    pub fn count(&self, label: Label) -> usize {
        self.labels.iter().filter(|l| **l == label).count()
    }

    /// The features of a row.
    #[must_use]
    pub fn row(&self, at: usize) -> &[f32] {
        let width = self.columns.len();
        self.values.get(at * width..(at + 1) * width).unwrap_or(&[])
    }

    /// The rows, in order.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.columns.len())
    }

    /// The values of a column, in the order of the rows.
    pub fn column(&self, at: usize) -> impl Iterator<Item = f32> {
        self.values
            .iter()
            .skip(at)
            .step_by(self.columns.len())
            .copied()
    }

    /// The same rows with the columns in another order: those that a model was trained on, by name.
    ///
    /// # Errors
    /// [`TableError::Missing`] where one is not there.
    pub fn arranged(&self, columns: &[String]) -> Result<Self, TableError> {
        let at: Vec<usize> = columns
            .iter()
            .map(|name| {
                self.columns
                    .iter()
                    .position(|c| c == name)
                    .ok_or_else(|| TableError::Missing {
                        column: name.clone(),
                    })
            })
            .collect::<Result<_, _>>()?;
        let values = self
            .rows()
            .flat_map(|row| at.iter().map(|i| row.get(*i).copied().unwrap_or(f32::NAN)))
            .collect();
        Ok(Self {
            columns: columns.to_vec(),
            values,
            labels: self.labels.clone(),
        })
    }
}
