//! Which stages there are, and in which order they stand.
//!
//! Owns the table of their words and the rule of their order; what a stage holds is the parser's, and what to say of
//! one out of place is `blame`'s.

/// Where in the order a stage stands; stages of one rank below `Step` exclude each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Base,
    Step,
    Score,
    Where,
    Bound,
    Skip,
    Top,
    /// `including self` and `exact` may stand anywhere.
    Flag,
}

/// Every stage with its rank, in the order they are listed to users.
pub(super) const STAGES: [(&str, Rank); 18] = [
    ("view", Rank::Base),
    ("using", Rank::Base),
    ("blend", Rank::Base),
    ("center", Rank::Step),
    ("normalize", Rank::Step),
    ("truncate", Rank::Step),
    ("project", Rank::Step),
    ("standardize", Rank::Step),
    ("whiten", Rank::Step),
    ("drop", Rank::Step),
    ("score", Rank::Score),
    ("where", Rank::Where),
    ("above", Rank::Bound),
    ("within", Rank::Bound),
    ("skip", Rank::Skip),
    ("top", Rank::Top),
    ("including", Rank::Flag),
    ("exact", Rank::Flag),
];

/// What the stages belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Context {
    /// A search or a list of pairs: every stage.
    Search,
    /// `let`: the lens alone.
    Lens,
}

impl Context {
    /// The highest rank allowed.
    fn allows(self, rank: Rank) -> bool {
        self == Context::Search || rank <= Rank::Score
    }

    /// Whether a stage of this context begins with `word`.
    pub fn knows(self, word: &str) -> bool {
        lookup(word).is_some_and(|(_, rank)| self.allows(rank))
    }
}

/// The stage that begins with `word`, in any case.
pub(super) fn lookup(word: &str) -> Option<(&'static str, Rank)> {
    STAGES.into_iter().find(|(stage, _)| stage.eq_ignore_ascii_case(word))
}

/// The stages read so far, as far as their order goes.
pub(super) struct Order {
    /// The stage of the highest rank.
    last: Option<(&'static str, Rank)>,
    /// What the stages belong to.
    pub context: Context,
}

/// Why a stage may not stand where it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misplaced {
    /// It belongs to a search, and this is a lens.
    NotOfALens,
    /// It comes before this one.
    Before(&'static str),
    /// It, or what excludes it, was given already.
    Again(&'static str),
}

impl Order {
    /// Nothing has been read.
    pub fn new(context: Context) -> Order {
        Order { last: None, context }
    }

    /// The stages that may still follow.
    pub fn allowed(&self) -> impl Iterator<Item = &'static str> {
        let least = self.last.map_or(Rank::Base, |(_, rank)| rank);
        let context = self.context;
        STAGES
            .into_iter()
            .filter(move |(_, rank)| {
                *rank > least
                    || *rank == Rank::Step && least == Rank::Step
                    || (least == Rank::Base && *rank > Rank::Base)
            })
            .filter(move |(_, rank)| context.allows(*rank))
            .map(|(stage, _)| stage)
    }

    /// Whether a condition was read last.
    pub fn in_condition(&self) -> bool {
        self.last.is_some_and(|(_, rank)| rank == Rank::Where)
    }

    /// Notes that the stage stands here, if it may.
    pub fn enter(&mut self, stage: &'static str, rank: Rank) -> Result<(), Misplaced> {
        if !self.context.allows(rank) {
            return Err(Misplaced::NotOfALens);
        }
        if rank == Rank::Flag {
            return Ok(());
        }
        if let Some((last, highest)) = self.last {
            if rank < highest {
                return Err(Misplaced::Before(last));
            }
            if rank == highest && rank != Rank::Step {
                return Err(Misplaced::Again(last));
            }
        }
        self.last = Some((stage, rank));
        Ok(())
    }
}
