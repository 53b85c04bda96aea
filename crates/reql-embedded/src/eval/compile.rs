//! From raw terms to compiled ones: counts arguments, resolves variables, replaces terms that stand for
//! others.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::captures::Captures;
use super::func::Func;
use super::limits::Limits;
use super::scope::{Captured, Scope, binds_implicit};
use super::spec::{Determinism, Spec};
use super::term::{ElementTerm, FuncTerm, Shape, Term};
use super::terms;
use crate::datum::pseudo::REQL_TYPE;
use crate::datum::{Datum, ObjectBuilder};
use crate::error::{At, Bt, Error, ErrorKind, Result};
use crate::term::{RawTerm, TermType};

/// The surroundings of a term: the variables around it, and the query's limits.
#[derive(Debug, Clone, Copy)]
struct Visible<'a> {
    variables: &'a Variables,
    implicit_depth: u32,
    limits: Limits,
    /// True if the server made the term, or a term around it, out of another one.
    generated: bool,
}

/// The variables of all functions around the term that is being compiled, each with the number of those that
/// bind it. However deep functions nest, entering one costs no more than its own parameters.
#[derive(Debug, Default)]
struct Variables(RefCell<BTreeMap<i64, u32>>);

impl Variables {
    fn contains(&self, name: i64) -> bool {
        self.0.borrow().contains_key(&name)
    }

    /// Calls `work` while these variables are visible as well.
    fn with<T>(&self, names: &[i64], work: impl FnOnce() -> T) -> T {
        names.iter().for_each(|name| *self.0.borrow_mut().entry(*name).or_default() += 1);
        let done = work();
        for name in names {
            if let Entry::Occupied(mut bound) = self.0.borrow_mut().entry(*name) {
                *bound.get_mut() -= 1;
                if *bound.get() == 0 {
                    bound.remove();
                }
            }
        }
        done
    }
}

impl FromIterator<i64> for Variables {
    fn from_iter<I: IntoIterator<Item = i64>>(names: I) -> Self {
        Variables(RefCell::new(names.into_iter().map(|name| (name, 1)).collect()))
    }
}

impl<'v> Visible<'v> {
    fn only(variables: &'v Variables, limits: Limits) -> Self {
        Visible { variables, implicit_depth: 0, limits, generated: false }
    }

    /// Returns the optional arguments of a term, or the fields of an object. Terms that RethinkDB makes keep
    /// theirs in a map: in the order of their names, and of two with the same name the later one.
    fn optargs<'a>(&self, raw: &'a RawTerm) -> Cow<'a, [(Arc<str>, RawTerm)]> {
        if !self.generated || raw.optargs.len() < 2 {
            return Cow::Borrowed(&raw.optargs);
        }
        let by_name: BTreeMap<_, _> = raw.optargs.iter().cloned().collect();
        Cow::Owned(by_name.into_iter().collect())
    }
}

/// Compiles a term that sees no variables. Errors are of the compile kind.
pub fn compile(raw: &RawTerm, limits: Limits) -> Result<Term> {
    compile_outermost(raw, &Visible::only(&Variables::default(), limits))
}

fn compile_outermost(raw: &RawTerm, visible: &Visible<'_>) -> Result<Term> {
    compile_in(raw, visible).map_err(|error| {
        let kind = if error.kind() == ErrorKind::Internal { ErrorKind::Internal } else { ErrorKind::Compile };
        error.with_kind(kind)
    })
}

fn compile_in(raw: &RawTerm, visible: &Visible<'_>) -> Result<Term> {
    stacker::maybe_grow(64 * 1024, 1024 * 1024, || {
        if let Some(rewritten) = rewritten(raw).at(raw.bt)? {
            let mut term = compile_in(&rewritten, &Visible { generated: true, ..*visible })?;
            term.stands_for = Some(raw.kind);
            return Ok(term);
        }
        let (shape, determinism) = shape(raw, visible).at(raw.bt)?;
        Ok(Term { kind: raw.kind, stands_for: None, bt: raw.bt, shape, determinism })
    })
}

fn shape(raw: &RawTerm, visible: &Visible<'_>) -> Result<(Shape, Determinism)> {
    match raw.kind {
        TermType::Datum => Ok((Shape::Datum(raw.datum.clone().unwrap_or_default()), Determinism::ALWAYS)),
        TermType::Var => Ok((variable(raw, visible)?, Determinism::ALWAYS)),
        TermType::ImplicitVar => Ok((implicit(raw, visible)?, Determinism::ALWAYS)),
        TermType::MakeObj => object(raw, visible),
        TermType::Func => function(raw, visible),
        TermType::Args => spread(raw, visible),
        _ => operation(raw, visible),
    }
}

fn variable(raw: &RawTerm, visible: &Visible<'_>) -> Result<Shape> {
    let [name] = &raw.args[..] else {
        return Err(Error::logic("A variable term has the wrong number of arguments."));
    };
    let name = match &name.datum {
        None => return Err(Error::logic("A variable term has a non-datum argument.")),
        Some(Datum::Num(_)) => name.datum.as_ref().map(Datum::as_int).transpose()?.unwrap_or_default(),
        Some(_) => return Err(Error::logic("A variable term has a non-numeric name datum.")),
    };
    if !visible.variables.contains(name) {
        return Err(Error::logic("Variable name not found."));
    }
    Ok(Shape::Var(name))
}

fn implicit(raw: &RawTerm, visible: &Visible<'_>) -> Result<Shape> {
    if !raw.args.is_empty() || !raw.optargs.is_empty() {
        return Err(Error::logic("Expected no arguments or optional arguments on implicit variable term."));
    }
    match visible.implicit_depth {
        0 => Err(Error::logic("r.row is not defined in this context.")),
        1 => Ok(Shape::Implicit),
        _ => Err(Error::logic("Cannot use r.row in nested queries.  Use functions instead.")),
    }
}

fn object(raw: &RawTerm, visible: &Visible<'_>) -> Result<(Shape, Determinism)> {
    if !raw.args.is_empty() {
        return Err(Error::logic("MAKE_OBJ term must not have any args."));
    }
    let mut determinism = Determinism::ALWAYS;
    let mut fields: Vec<(Arc<str>, Term)> = Vec::with_capacity(raw.optargs.len());
    for (key, value) in visible.optargs(raw).iter() {
        let value = compile_in(value, visible)?;
        determinism = determinism.join(value.determinism);
        fields.push((key.clone(), value));
    }
    fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    if let Some(pair) = fields.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(Error::logic(format!("Duplicate object key: {}.", pair[0].0)));
    }
    Ok((constant_object(&fields).unwrap_or(Shape::Object(fields)), determinism))
}

/// Returns an object of literals as a literal: the documents of inserts need no evaluation.
fn constant_object(fields: &[(Arc<str>, Term)]) -> Option<Shape> {
    let mut object = ObjectBuilder::with_capacity(fields.len());
    for (key, term) in fields {
        match &term.shape {
            Shape::Datum(datum) if **key != *REQL_TYPE => object.insert(key.clone(), datum.clone()),
            _ => return None,
        };
    }
    Some(Shape::Datum(Datum::Object(object.build())))
}

fn function(raw: &RawTerm, visible: &Visible<'_>) -> Result<(Shape, Determinism)> {
    if !raw.optargs.is_empty() {
        return Err(Error::logic("FUNC takes no optional arguments."));
    }
    let [params, body] = &raw.args[..] else {
        return Err(Error::logic(format!("FUNC takes exactly two arguments (got {})", raw.args.len())));
    };
    let params = parameters(params)?;
    let implicit_depth = visible.implicit_depth + u32::from(binds_implicit(&params));
    let inner = Visible { implicit_depth, ..*visible };
    let body = visible.variables.with(&params, || compile_in(body, &inner))?;
    let determinism = body.determinism;
    let source = Arc::new(raw.clone());
    Ok((Shape::Func(Arc::new(FuncTerm { params, body, source })), determinism))
}

pub(super) fn parameters(raw: &RawTerm) -> Result<Vec<i64>> {
    let number = |datum: &Datum| match datum {
        Datum::Num(_) => datum.as_int(),
        _ => Err(Error::logic("CLIENT ERROR: FUNC variables must be a literal array of *numbers*.")),
    };
    match (raw.kind, &raw.datum) {
        (TermType::Datum, Some(Datum::Array(names))) => names.iter().map(|name| number(&name)).collect(),
        (TermType::Datum, _) => {
            Err(Error::logic("CLIENT ERROR: FUNC variables must be a literal *array* of numbers."))
        }
        (TermType::MakeArray, _) => raw
            .args
            .iter()
            .map(|name| match &name.datum {
                Some(datum) => number(datum),
                None => {
                    Err(Error::logic("CLIENT ERROR: FUNC variables must be a *literal* array of numbers."))
                }
            })
            .collect(),
        _ => Err(Error::logic("CLIENT ERROR: FUNC variables must be a *literal array of numbers*.")),
    }
}

fn spread(raw: &RawTerm, visible: &Visible<'_>) -> Result<(Shape, Determinism)> {
    let args = raw.args.iter().map(|arg| compile_in(arg, visible)).collect::<Result<Vec<_>>>()?;
    let [inner] = <[Term; 1]>::try_from(args)
        .map_err(|args| Error::logic(format!("Expected 1 argument but found {}.", args.len())))?;
    if let Some((name, value)) = visible.optargs(raw).first() {
        return Err(unrecognized(name, value));
    }
    let determinism = inner.determinism;
    Ok((Shape::Args(Box::new(inner)), determinism))
}

fn unrecognized(optarg: &str, value: &RawTerm) -> Error {
    Error::logic(format!("Unrecognized optional argument `{optarg}`.")).at(value.bt)
}

/// Returns the term that replaces a term, if there is one.
fn rewritten(raw: &RawTerm) -> Result<Option<RawTerm>> {
    let Some(spec) = terms::spec(raw.kind) else { return Ok(None) };
    let Some(rewrite) = spec.rewrite else { return Ok(None) };
    check_count(spec, raw)?;
    rewrite(raw).map(Some)
}

fn operation(raw: &RawTerm, visible: &Visible<'_>) -> Result<(Shape, Determinism)> {
    let Some(spec) = terms::spec(raw.kind) else {
        return Err(Error::logic(format!("{} is not supported by this server.", raw.kind.name())));
    };
    let mut determinism = spec.determinism_of.map_or(spec.determinism, |of| of(raw));
    let mut compile = |raw: &RawTerm| {
        let term = compile_in(raw, visible)?;
        determinism = determinism.join(term.determinism);
        Ok(term)
    };
    let args = raw.args.iter().map(&mut compile).collect::<Result<Vec<_>>>()?;
    check_arity(spec, raw)?;
    let mut optargs: Vec<(Arc<str>, Term)> = Vec::with_capacity(raw.optargs.len());
    for (name, value) in visible.optargs(raw).iter() {
        if !spec.optargs.contains(&&**name) {
            return Err(unrecognized(name, value));
        }
        if optargs.iter().any(|(earlier, _)| earlier == name) {
            return Err(Error::logic(format!("Duplicate optional argument: {name}")).at(value.bt));
        }
        let value = if spec.lazy_optargs.contains(&&**name) {
            compile(&constant_function(value))?
        } else {
            compile(value)?
        };
        optargs.push((name.clone(), value));
    }
    if let Some(items) = constant_array(raw.kind, &args, visible.limits) {
        return Ok((Shape::Datum(items), determinism));
    }
    let element = spec.is_elementwise().then(|| Arc::new(ElementTerm::of(raw)));
    let plain = spec.plain.filter(|_| takes_plain(&args));
    Ok((Shape::Op { spec, args, optargs, element, plain }, determinism))
}

/// Returns true if the first argument, which may be grouped or a sequence in general, is sure to be a plain
/// value.
fn takes_plain(args: &[Term]) -> bool {
    args.first().is_none_or(Term::is_plain) && !args.iter().any(Term::is_spread)
}

/// Returns an array of literals as a literal, unless evaluating it would fail.
fn constant_array(kind: TermType, args: &[Term], limits: Limits) -> Option<Datum> {
    if kind != TermType::MakeArray || limits.check_array(args.len()).is_err() {
        return None;
    }
    let items: Option<Vec<Datum>> = args
        .iter()
        .map(|arg| match &arg.shape {
            Shape::Datum(datum) => Some(datum.clone()),
            _ => None,
        })
        .collect();
    items.map(Datum::array)
}

/// Checks the number of arguments. `r.args` may stand for any number of them, which is checked when it is
/// evaluated.
fn check_arity(spec: &Spec, raw: &RawTerm) -> Result<()> {
    if raw.args.iter().any(|arg| arg.kind == TermType::Args) {
        return Ok(());
    }
    check_count(spec, raw)
}

fn check_count(spec: &Spec, raw: &RawTerm) -> Result<()> {
    if spec.arity.admits(raw.args.len()) {
        return Ok(());
    }
    Err(Error::logic(format!("Expected {} but found {}.", spec.arity.describe(), raw.args.len())))
}

/// Compiles a stored function, which sees the variables that it has captured.
pub fn compile_function(raw: &RawTerm, captures: Captures) -> Result<Func> {
    let variables = captures.variables.keys().copied().collect();
    let visible =
        Visible { implicit_depth: captures.implicit_depth, ..Visible::only(&variables, Limits::default()) };
    match &compile_outermost(raw, &visible)?.shape {
        Shape::Func(term) => Ok(Func::new(term.clone(), Captured::from(captures))),
        _ => Err(Error::internal("A stored function is no function.").at(Bt::default())),
    }
}

/// Compiles a term into the function without parameters that evaluates it: the options of a query.
pub fn compile_constant(raw: &RawTerm) -> Result<Func> {
    compile_function(&constant_function(raw), Captures::default())
}

/// Returns the function without parameters that evaluates a term.
fn constant_function(raw: &RawTerm) -> RawTerm {
    let params = RawTerm::generated(TermType::MakeArray, raw.bt, Vec::new());
    RawTerm::generated(TermType::Func, raw.bt, vec![params, raw.clone()])
}

/// The parameter of a function that the server makes; `r.row` doesn't refer to it.
const ELEMENT: i64 = -1;

/// The parameter of [`compile_field_function`].
const OBJECT: i64 = -4;

/// Compiles the function that calls `get_field` with a value.
pub(super) fn compile_field_function(name: &Datum, bt: Bt) -> Result<Arc<FuncTerm>> {
    let parameter = || RawTerm::literal(Datum::from(OBJECT), bt);
    let object = RawTerm::generated(TermType::Var, bt, vec![parameter()]);
    let field = RawTerm::generated(TermType::GetField, bt, vec![object, RawTerm::literal(name.clone(), bt)]);
    let params = RawTerm::generated(TermType::MakeArray, bt, vec![parameter()]);
    let func = RawTerm::generated(TermType::Func, bt, vec![params, field]);
    match &compile(&func, Limits::default())?.shape {
        Shape::Func(term) => Ok(term.clone()),
        _ => Err(Error::internal("A field is no function.").at(bt)),
    }
}

/// Compiles a term into the function of its first argument, for use on each element of a sequence. It sees
/// the variables of `scope`.
pub fn compile_element_function(raw: &ElementTerm, scope: &Scope<'_>, limits: Limits) -> Result<Func> {
    let bt = raw.bt;
    let number = |value: i64| RawTerm::literal(Datum::Num(value as f64), bt);
    let mut args = vec![RawTerm::generated(TermType::Var, bt, vec![number(ELEMENT)])];
    args.extend(raw.args.iter().cloned());
    let mut body = RawTerm::generated(raw.kind, bt, args);
    body.optargs.make_mut().push((Arc::from("_NO_RECURSE_"), RawTerm::literal(Datum::Bool(true), bt)));
    let params = RawTerm::generated(TermType::MakeArray, bt, vec![number(ELEMENT)]);
    let func = RawTerm::generated(TermType::Func, bt, vec![params, body]);
    let variables = scope.variables().into_iter().collect();
    let visible = Visible {
        implicit_depth: scope.implicit_depth(),
        generated: true,
        ..Visible::only(&variables, limits)
    };
    match &compile_in(&func, &visible)?.shape {
        Shape::Func(term) => Ok(Func::new(term.clone(), scope.capture())),
        _ => Err(Error::internal("An element function is no function.").at(bt)),
    }
}
