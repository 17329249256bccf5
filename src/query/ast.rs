//! The typed tree of a statement, with byte spans into the text it was parsed from.
//!
//! Spans never take part in equality, so that `parse(print(ast)) == ast` compares meaning.

use crate::types::{LensDef, Metric, Step};
use std::ops::Range;

/// A piece of the tree with the place it was written at.
#[derive(Debug, Clone)]
pub struct Spanned<T> {
    /// The piece.
    pub node: T,
    /// Byte range in the statement; `0..0` for trees made by the builder.
    pub span: Range<usize>,
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

impl<T> From<T> for Spanned<T> {
    fn from(node: T) -> Self {
        Spanned { node, span: 0..0 }
    }
}

/// A name as written, with its place.
pub type Name = Spanned<String>;

/// One statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// `find ...`
    Find(Find),
    /// `pairs in COLLECTION ...`
    Pairs(Pairs),
    /// `explain [analyze] find ...`
    Explain {
        /// Run it and report what was measured.
        analyze: bool,
        /// The search.
        find: Find,
    },
    /// `compare A, B: find ...`
    Compare {
        /// The lenses compared.
        lenses: Vec<Name>,
        /// The search.
        find: Find,
    },
    /// `why #id: find ...`
    Why {
        /// The record in question.
        id: Spanned<String>,
        /// The search.
        find: Find,
    },
    /// `let NAME = stages`
    Let {
        /// The lens's name.
        name: Name,
        /// What it means.
        lens: LensExpr,
    },
    /// `drop NAME`
    Drop {
        /// The lens's name.
        name: Name,
    },
    /// `show WHAT`
    Show(Spanned<Show>),
}

/// What `show` lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// Collections with their records and views.
    Collections,
    /// Views of every collection.
    Views,
    /// Metadata fields and their types.
    Fields,
    /// Saved lenses.
    Lenses,
    /// Stored projections.
    Projections,
    /// Stored samples of queries.
    Samples,
    /// Respects in which collections are labelled.
    Respects,
    /// Records that had no direction in the last search.
    Undirected,
}

impl Show {
    /// Everything that can be shown, in the order it is listed to users.
    pub const ALL: [Show; 8] = [
        Show::Collections,
        Show::Views,
        Show::Fields,
        Show::Lenses,
        Show::Projections,
        Show::Samples,
        Show::Respects,
        Show::Undirected,
    ];

    /// Its word behind `show`.
    pub fn as_str(self) -> &'static str {
        match self {
            Show::Collections => "collections",
            Show::Views => "views",
            Show::Fields => "fields",
            Show::Lenses => "lenses",
            Show::Projections => "projections",
            Show::Samples => "samples",
            Show::Respects => "respects",
            Show::Undirected => "undirected",
        }
    }
}

/// `find SOURCE in COLLECTION | ...`
#[derive(Debug, Clone, PartialEq)]
pub struct Find {
    /// What to look for.
    pub source: Spanned<Source>,
    /// Where.
    pub collection: Name,
    /// In what respect.
    pub lens: LensExpr,
    /// Restrictions on what is listed.
    pub output: Output,
}

/// `pairs in COLLECTION | ...`
#[derive(Debug, Clone, PartialEq)]
pub struct Pairs {
    /// Where.
    pub collection: Name,
    /// In what respect.
    pub lens: LensExpr,
    /// Restrictions on what is listed.
    pub output: Output,
}

/// The clauses after the lens. Unset ones take their defaults when the statement is planned.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Output {
    /// `where expr`
    pub filter: Option<Expr>,
    /// `above X` or `within X`
    pub bound: Option<Spanned<Bound>>,
    /// `skip N`
    pub skip: Option<Spanned<u64>>,
    /// `top N`
    pub top: Option<Spanned<u64>>,
    /// `including self`
    pub including_self: bool,
    /// `exact`
    pub exact: bool,
}

/// A threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// Scores of at least this.
    Above(f64),
    /// Distances of at most this.
    Within(f64),
}

/// A weighted sum of terms.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Source {
    /// At least one.
    pub terms: Vec<Term>,
}

/// One term of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    /// Its weight with the sign of the operator before it; 1 when not written.
    pub weight: f64,
    /// What it is.
    pub operand: Spanned<Operand>,
}

/// What a term stands for.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// Text, embedded through the view.
    Text(String),
    /// `#id`: that record's vector.
    Id(String),
    /// `[1, 2.5, ...]`
    Vector(Vec<f64>),
    /// `$name`: bound to a text or a vector before the statement runs.
    Param(String),
}

/// The lens part of a statement, as written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LensExpr {
    /// `view`, `using` or `blend`.
    pub base: LensBase,
    /// Steps in the order written.
    pub steps: Vec<Spanned<Step>>,
    /// `score METRIC`, unset where not written.
    pub metric: Option<Spanned<Metric>>,
    /// `csls K from SAMPLE`
    pub csls: Option<Spanned<(u32, String)>>,
}

impl From<&LensDef> for LensExpr {
    /// The lens as it is written, view and metric included.
    fn from(def: &LensDef) -> LensExpr {
        LensExpr {
            base: LensBase::View(def.view.clone().into()),
            steps: def.steps.iter().cloned().map(Spanned::from).collect(),
            metric: Some(def.metric.into()),
            csls: def.csls.clone().map(Spanned::from),
        }
    }
}

/// Where a lens starts from.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum LensBase {
    /// Nothing written: view `raw`.
    #[default]
    Default,
    /// `view NAME`
    View(Name),
    /// `using LENS`
    Using(Name),
    /// `blend W * LENS + ...`
    Blend(Vec<(f64, Name)>),
}

/// A condition on metadata. Null logic is SQL's.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// `field OP value`
    Compare {
        /// The field.
        field: Name,
        /// The operator.
        op: CompareOp,
        /// The constant.
        value: Spanned<Literal>,
    },
    /// `field in (...)`
    In {
        /// The field.
        field: Name,
        /// The constants.
        values: Vec<Spanned<Literal>>,
    },
    /// `field has value`: the list contains the value.
    Has {
        /// The field.
        field: Name,
        /// The constant.
        value: Spanned<Literal>,
    },
    /// `field is null` or `field is not null`
    IsNull {
        /// The field.
        field: Name,
        /// `is not null`
        negated: bool,
    },
    /// `not expr`
    Not(Box<Expr>),
    /// `a and b and ...`, at least two
    And(Vec<Expr>),
    /// `a or b or ...`, at least two
    Or(Vec<Expr>),
}

/// A comparison operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompareOp {
    /// `=`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

/// A constant in a condition.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// `"text"`
    Text(String),
    /// `12`
    Integer(i64),
    /// `1.5`
    Float(f64),
    /// `true`, `false`
    Bool(bool),
    /// `null`: an error that suggests `is null`.
    Null,
    /// `$name`: bound before the statement runs.
    Param(String),
}
