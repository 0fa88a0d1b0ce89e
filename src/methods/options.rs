//! Options of methods: one table for the command line, settings files, manual pages and results.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::Method;
use crate::anchors::{Domain, Representative};
use crate::map::Sigma;
use crate::{Error, Result};

/// An option of one or more methods.
#[derive(Debug)]
#[non_exhaustive]
pub struct MethodOption {
    /// Its name, without the two dashes of the command line.
    pub name: &'static str,
    /// Placeholder of its value in help texts: `N`, `NAME|FILE`.
    pub value: &'static str,
    /// Its effect in one sentence, with its default.
    pub help: &'static str,
    /// Its heading in help texts.
    pub heading: &'static str,
    /// The allowed values, each with its meaning; empty if `check` decides.
    pub values: &'static [(&'static str, &'static str)],
    /// Whether its value is a list, separated by commas.
    pub list: bool,
    /// The value if it is not given.
    pub default: Option<&'static str>,
    /// The value if it is given without a value.
    pub bare: Option<&'static str>,
    /// Checks a value; the error says what is expected.
    pub check: fn(&str) -> Result<(), String>,
}

impl MethodOption {
    /// An option with any text, as a base for others.
    pub const TEXT: Self = Self {
        name: "",
        value: "TEXT",
        help: "",
        heading: "Method",
        values: &[],
        list: false,
        default: None,
        bare: None,
        check: |_| Ok(()),
    };
}

/// Blocks whose features are compared.
pub static LEVELS: MethodOption = MethodOption {
    name: "levels",
    value: "3,6,9,12",
    help: "Blocks whose features are compared, counted from 1 [default: the ends of the tower's quarters]",
    list: true,
    check: |text| number::<usize>(text, "a block's number", |_| true),
    ..MethodOption::TEXT
};

/// Smoothing of the map.
pub static SMOOTHING: MethodOption = MethodOption {
    name: "smoothing",
    value: "S",
    help: "Gaussian smoothing: of SDP's map in pixels at the model's resolution [default: 8], of AA-CLIP's in patches \
           [default: 1, medical 1.5]",
    check: |text| number::<f64>(text, "a number of pixels from 0 to 1000", |&x| Sigma::new(x).is_some()),
    ..MethodOption::TEXT
};

/// The features of the tower to compare.
pub static FIDELITY: MethodOption = MethodOption {
    name: "fidelity",
    value: "FIDELITY",
    help: "Features as in the reference code (with its in-place updates) or as the paper describes them",
    default: Some("reference"),
    values: &[("reference", "As the official code"), ("clean", "As the paper")],
    ..MethodOption::TEXT
};

/// The kind of pictures.
pub static DOMAIN: MethodOption = MethodOption {
    name: "domain",
    value: "DOMAIN",
    help: "The kind of pictures: the method smooths and scores them accordingly [default: the data set's, else \
           industrial]",
    values: &[("industrial", "Manufactured parts and surfaces"), ("medical", "Medical pictures")],
    ..MethodOption::TEXT
};

/// The prompt ensemble.
pub static PROMPTS: MethodOption = MethodOption {
    name: "prompts",
    value: "NAME|FILE",
    help: "Prompt ensemble: a name of `aaclip prompts list` or a file [default: the method's]",
    ..MethodOption::TEXT
};

const ANCHORS_HEADING: &str = "Anchor parameters";

/// How the sentences of an ensemble become one anchor.
pub static ANCHORS: MethodOption = MethodOption {
    name: "anchors",
    value: "ANCHORS",
    help: "How the sentences' vectors become one anchor",
    default: Some("mean"),
    values: &[
        ("mean", "Their mean"),
        ("pca", "Their first principal direction"),
        ("kde", "Their mean, weighted by density"),
        ("dbscan", "The mean of the largest density cluster"),
        ("mean-shift", "The mean of the largest mean-shift cluster"),
    ],
    ..MethodOption::TEXT
};

/// Kernel width, for two of the anchors.
pub static ANCHOR_BANDWIDTH: MethodOption = MethodOption {
    name: "anchor-bandwidth",
    value: "X",
    help: "Width of the kernel of kde (default 0.3) and mean-shift (default 2)",
    heading: ANCHORS_HEADING,
    check: any_number,
    ..MethodOption::TEXT
};

/// Neighbourhood radius, for one of the anchors.
pub static ANCHOR_EPS: MethodOption = MethodOption {
    name: "anchor-eps",
    value: "X",
    help: "Neighbourhood radius of dbscan (default 0.5; the reference uses 1.5 for VisA)",
    heading: ANCHORS_HEADING,
    check: any_number,
    ..MethodOption::TEXT
};

/// Neighbours of a core point.
pub static ANCHOR_MIN_SAMPLES: MethodOption = MethodOption {
    name: "anchor-min-samples",
    value: "N",
    help: "Neighbours that make a core point of dbscan (default 15; the reference uses 25 for VisA)",
    heading: ANCHORS_HEADING,
    check: whole_number,
    ..MethodOption::TEXT
};

/// Steps of mean shift.
pub static ANCHOR_ITERATIONS: MethodOption = MethodOption {
    name: "anchor-iterations",
    value: "N",
    help: "Steps after which mean-shift stops (default 300)",
    heading: ANCHORS_HEADING,
    check: whole_number,
    ..MethodOption::TEXT
};

/// The options of every method that compares with anchors made of prompts, level by level.
pub const OF_ANCHORED: &[&MethodOption] = &[
    &PROMPTS,
    &ANCHORS,
    &ANCHOR_BANDWIDTH,
    &ANCHOR_EPS,
    &ANCHOR_MIN_SAMPLES,
    &ANCHOR_ITERATIONS,
    &LEVELS,
    &SMOOTHING,
];

/// Two lists of options as one of `N`, the sum of their lengths.
pub const fn joined<const N: usize>(
    first: &[&'static MethodOption],
    second: &[&'static MethodOption],
) -> [&'static MethodOption; N] {
    assert!(first.len() + second.len() == N, "N must be the sum of both lengths");
    let mut all = [&PROMPTS; N];
    let mut i = 0;
    while i < N {
        all[i] = if i < first.len() { first[i] } else { second[i - first.len()] };
        i += 1;
    }
    all
}

fn number<T: FromStr>(text: &str, expected: &str, fits: impl Fn(&T) -> bool) -> Result<(), String> {
    match text.parse::<T>() {
        Ok(value) if fits(&value) => Ok(()),
        _ => Err(format!("expected {expected}")),
    }
}

fn any_number(text: &str) -> Result<(), String> {
    number::<f64>(text, "a number", |_| true)
}

/// Accepts a whole number.
///
/// # Errors
/// The expected form.
pub fn whole_number(text: &str) -> Result<(), String> {
    number::<usize>(text, "a whole number", |_| true)
}

/// Accepts a number from 0 to 1.
///
/// # Errors
/// The expected form.
pub fn share(text: &str) -> Result<(), String> {
    number::<f64>(text, "a number from 0 to 1", |x| (0.0..=1.0).contains(x))
}

/// Accepts `true` and `false`.
///
/// # Errors
/// The expected form.
pub fn boolean(text: &str) -> Result<(), String> {
    number::<bool>(text, "true or false", |_| true)
}

/// The given values of options, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OptionValues(BTreeMap<&'static str, String>);

impl OptionValues {
    /// Sets an option after checking its value.
    ///
    /// # Errors
    /// The value is not allowed.
    pub fn set(&mut self, option: &'static MethodOption, value: &str) -> Result<()> {
        let known = option.values.is_empty() || option.values.iter().any(|(name, _)| *name == value);
        let checked = if known && option.list {
            value.split(',').map(str::trim).try_for_each(option.check)
        } else if known {
            (option.check)(value)
        } else {
            let names: Vec<&str> = option.values.iter().map(|(name, _)| *name).collect();
            Err(format!("expected one of {}", names.join(", ")))
        };
        checked.map_err(|expected| Error::Setting(format!("--{} `{value}`: {expected}", option.name)))?;
        self.0.insert(option.name, value.to_owned());
        Ok(())
    }

    /// Sets the option with this name.
    ///
    /// # Errors
    /// No method has such an option, or the value is not allowed.
    pub fn set_by_name(&mut self, name: &str, value: &str) -> Result<()> {
        match all().find(|option| option.name == name) {
            Some(option) => self.set(option, value),
            None => Err(Error::Setting(format!("no method has an option `{name}`"))),
        }
    }

    /// Checks that every given option has an effect on a method.
    ///
    /// # Errors
    /// An option has no effect; the first such option is named.
    pub fn check_for(&self, method: &Method) -> Result<()> {
        let unused = self.0.keys().find(|name| method.options.iter().all(|option| option.name != **name));
        match unused {
            Some(name) => Err(Error::Setting(format!("--{name} has no effect with method {}", method.name))),
            None => Ok(()),
        }
    }

    /// An option's text: as given, else its default.
    pub fn text(&self, option: &MethodOption) -> Option<&str> {
        self.0.get(option.name).map(String::as_str).or(option.default)
    }

    /// An option's value, if it is given or has a default.
    ///
    /// # Errors
    /// The text cannot be parsed, which [`OptionValues::set`] excludes.
    pub fn get<T: FromStr>(&self, option: &MethodOption) -> Result<Option<T>> {
        self.text(option).map(|text| parsed(option, text)).transpose()
    }

    /// The value of an option with a default.
    ///
    /// # Errors
    /// Errors of [`OptionValues::get`], or the option has no value.
    pub fn value<T: FromStr>(&self, option: &MethodOption) -> Result<T> {
        self.get(option)?.ok_or_else(|| Error::Setting(format!("--{} has no value", option.name)))
    }

    /// The values of a list, if given.
    ///
    /// # Errors
    /// Errors of [`OptionValues::get`].
    pub fn list<T: FromStr>(&self, option: &MethodOption) -> Result<Option<Vec<T>>> {
        self.text(option)
            .map(|text| text.split(',').map(|part| parsed(option, part.trim())).collect())
            .transpose()
    }
}

fn parsed<T: FromStr>(option: &MethodOption, text: &str) -> Result<T> {
    text.parse().map_err(|_| Error::Setting(format!("--{}: cannot use `{text}`", option.name)))
}

/// All options of all methods, each once, in the order of the table.
pub fn all() -> impl Iterator<Item = &'static MethodOption> {
    let mut seen = Vec::new();
    let options = super::METHODS.iter().flat_map(|method| method.options.iter().copied());
    options.filter(move |option| {
        let new = !seen.contains(&option.name);
        seen.push(option.name);
        new
    })
}

/// The domain, if given.
///
/// # Errors
/// Errors of [`OptionValues::get`].
pub fn domain(values: &OptionValues) -> Result<Option<Domain>> {
    Ok(match values.text(&DOMAIN) {
        None => None,
        Some("medical") => Some(Domain::Medical),
        Some(_) => Some(Domain::Industrial),
    })
}

/// The smoothing, if given.
///
/// # Errors
/// Errors of [`OptionValues::get`].
pub fn smoothing(values: &OptionValues) -> Result<Option<Sigma>> {
    Ok(values.get(&SMOOTHING)?.and_then(Sigma::new))
}

/// The representative vector with its parameters.
///
/// # Errors
/// A parameter was given that does not apply.
pub fn representative(values: &OptionValues) -> Result<Representative> {
    let name = values.text(&ANCHORS).unwrap_or_default();
    let mut chosen = match name {
        "pca" => Representative::Pca,
        "kde" => Representative::kde(),
        "dbscan" => Representative::dbscan(),
        "mean-shift" => Representative::mean_shift(),
        _ => Representative::Mean,
    };
    let unused = |option: &MethodOption| {
        Error::Setting(format!("`{}` has no effect with `anchors` {name}", option.name))
    };
    if let Some(value) = values.get(&ANCHOR_BANDWIDTH)? {
        match &mut chosen {
            Representative::Kde { bandwidth } | Representative::MeanShift { bandwidth, .. } => {
                *bandwidth = value
            }
            _ => return Err(unused(&ANCHOR_BANDWIDTH)),
        }
    }
    if let Some(value) = values.get(&ANCHOR_EPS)? {
        match &mut chosen {
            Representative::Dbscan { eps, .. } => *eps = value,
            _ => return Err(unused(&ANCHOR_EPS)),
        }
    }
    if let Some(value) = values.get(&ANCHOR_MIN_SAMPLES)? {
        match &mut chosen {
            Representative::Dbscan { min_samples, .. } => *min_samples = value,
            _ => return Err(unused(&ANCHOR_MIN_SAMPLES)),
        }
    }
    if let Some(value) = values.get(&ANCHOR_ITERATIONS)? {
        match &mut chosen {
            Representative::MeanShift { max_iterations, .. } => *max_iterations = value,
            _ => return Err(unused(&ANCHOR_ITERATIONS)),
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::{aa_clip, sdp};

    #[test]
    fn values_are_checked_and_unused_options_refused() {
        let mut values = OptionValues::default();
        for (name, value) in [("levels", "2,4"), ("smoothing", "1.5"), ("fidelity", "clean")] {
            values.set_by_name(name, value).unwrap();
        }
        assert_eq!(values.list::<usize>(&LEVELS).unwrap(), Some(vec![2, 4]));
        assert!(values.check_for(&sdp::METHOD).is_ok());
        let refused = values.check_for(&aa_clip::METHOD).unwrap_err().to_string();
        assert!(refused.contains("--fidelity has no effect with method aa-clip"), "{refused}");
        for (name, value) in
            [("levels", "2,x"), ("levels", ""), ("smoothing", "-1"), ("fidelity", "other"), ("nothing", "1")]
        {
            assert!(values.set_by_name(name, value).is_err(), "{name} {value}");
        }
    }

    #[test]
    fn parameters_belong_to_their_anchors() {
        let with = |pairs: &[(&str, &str)]| {
            let mut values = OptionValues::default();
            pairs.iter().for_each(|(name, value)| values.set_by_name(name, value).unwrap());
            representative(&values)
        };
        assert_eq!(with(&[]).unwrap(), Representative::Mean);
        let kde = with(&[("anchors", "kde"), ("anchor-bandwidth", "0.5")]).unwrap();
        assert_eq!(kde, Representative::Kde { bandwidth: 0.5 });
        let refused = with(&[("anchors", "pca"), ("anchor-eps", "1")]).unwrap_err().to_string();
        assert!(refused.contains("`anchor-eps` has no effect with `anchors` pca"), "{refused}");
    }
}
