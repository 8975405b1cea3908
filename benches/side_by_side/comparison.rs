//! What was measured of both, and what is wanted of ours.

/// What is wanted of ours.
#[derive(Clone, Copy)]
pub enum Goal {
    /// At most this part of the original's.
    Part(f64),
    /// At most this much.
    Limit(f64),
}

/// One thing that was measured of both, several times in turn.
pub struct Comparison {
    pub title: String,
    pub goal: Goal,
    pub ours: Vec<f64>,
    /// Empty if the original was not measured.
    pub original: Vec<f64>,
}

impl Comparison {
    /// Nothing measured yet.
    pub fn new(title: impl Into<String>, goal: Goal) -> Comparison {
        Comparison {
            title: title.into(),
            goal,
            ours: Vec::new(),
            original: Vec::new(),
        }
    }

    /// Whether the goal is reached, by the medians.
    pub fn is_met(&self) -> bool {
        match self.goal {
            Goal::Part(part) => median(&self.ours) <= median(&self.original) * part,
            Goal::Limit(limit) => median(&self.ours) <= limit,
        }
    }

    /// A line of the table.
    pub fn line(&self) -> String {
        let shown = |values: &[f64]| {
            if values.is_empty() {
                return format!("{:>9} {:>9}", "-", "-");
            }
            let min = values.iter().copied().fold(f64::INFINITY, f64::min);
            format!("{min:>9.3} {:>9.3}", median(values))
        };
        let goal = match self.goal {
            Goal::Part(part) => format!("ratio {part:.2}"),
            Goal::Limit(limit) => format!("{limit:.1}"),
        };
        format!(
            "{:<56} {}   {}   {:>5}   {:<10} {}",
            self.title,
            shown(&self.ours),
            shown(&self.original),
            if self.original.is_empty() {
                "-".to_owned()
            } else {
                format!("{:.2}", median(&self.ours) / median(&self.original))
            },
            goal,
            if self.is_met() { "met" } else { "MISSED" }
        )
    }
}

/// The heading above the lines.
pub fn heading() -> String {
    format!(
        "{:<56} {:>19}   {:>19}   {:>5}   goal",
        "seconds, if nothing else is said", "ours min/median", "original min/median", "ratio"
    )
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
