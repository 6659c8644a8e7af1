------------------------------ MODULE Keyonce ------------------------------
(***************************************************************************)
(* One key, and the workers that race and retry for it, crash, and come    *)
(* back late. What each guarantee promises of its effect and its answer.   *)
(*                                                                         *)
(* A *life* is the time from the claim that makes a record to its purge:   *)
(* the promises hold within one. A claim takes a token, and every later    *)
(* write to the record is conditional on it. Leases end at any moment,     *)
(* also while their owner lives: no clock is trusted.                      *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets

CONSTANTS
    Workers,    \* who sends the request, and retries for ever
    Guarantee,  \* see Guarantees
    Tokens,     \* "fresh": never repeated; "restart": from 1 in each life
    Verdict,    \* who settles an unknown outcome: see Verdicts
    Purging,    \* whether a finished record is removed
    MostClaims, \* so many executions, then the key is parked
    MostLives,
    MostFaults

Promised == {"exactly-once", "resume", "at-most-once", "at-least-once"}
Mistakes == {"free complete",   \* it asks for no token
             "free release",    \* it asks for no token
             "token at effect", \* the effect refuses tokens older than it saw
             "error frees",     \* at-most-once, and an exception frees the key
             "answer first",    \* the answer is stored before the effect
             "no lease"}        \* nobody takes over from a worker that died
Guarantees == Promised \cup Mistakes

Verdicts == {"nobody",
             "truth",     \* never happened *and never will by that execution*
             "hindsight"} \* it has not happened so far: a mistake

ASSUME /\ Guarantee \in Guarantees
       /\ Tokens \in {"fresh", "restart"}
       /\ Verdict \in Verdicts

VARIABLES
    state,    \* of the record
    token,    \* its owner's
    life,     \* how many times the record was made
    answer,   \* what is stored: the claim that made it; 0: an operator's word
    claims,   \* how many there were
    inLife,   \* how many there were in this life
    at,       \* where each worker is
    held,     \* the token each worker took
    by,       \* its claim
    born,     \* the life its claim was made in
    effects,  \* how often the work was done, by life
    heard,    \* the lives whose derived key the downstream has seen
    highest,  \* the highest token that the effect has seen, by life
    answers,  \* what callers were told, by life
    stale,    \* whether an old token has changed a record
    faults

record == <<state, token, life, answer, claims, inLife>>
workers == <<at, held, by, born>>
world == <<effects, heard, highest, answers>>
vars == <<record, workers, world, stale, faults>>

Lives == 1..MostLives
External == Guarantee \notin {"exactly-once", "answer first"}
RunsAgain == Guarantee \notin {"at-most-once", "error frees"}
Open == {"working", "ended", "unknown"}
Owns(w) == state \in Open /\ token = held[w]
Alive(t) == \E w \in Workers :
    at[w] \in {"working", "acted", "told"} /\ held[w] = t /\ born[w] = life

Init ==
    /\ state = "absent" /\ token = 0 /\ life = 0 /\ answer = 0
    /\ claims = 0 /\ inLife = 0
    /\ at = [w \in Workers |-> "idle"]
    /\ held = [w \in Workers |-> 0]
    /\ by = [w \in Workers |-> 0]
    /\ born = [w \in Workers |-> 0]
    /\ effects = [l \in Lives |-> 0]
    /\ heard = {}
    /\ highest = [l \in Lives |-> 0]
    /\ answers = [l \in Lives |-> {}]
    /\ stale = FALSE
    /\ faults = 0

--------------------------------------------------------------------------
(* The record *)

MayClaim ==
    \/ state = "absent" /\ life < MostLives
    \/ state = "released"
    \/ state = "ended" /\ RunsAgain

Claim(w) ==
    /\ at[w] = "idle" /\ MayClaim /\ claims < MostClaims
    /\ LET new == state = "absent"
           nth == IF new THEN 1 ELSE inLife + 1
           taken == IF Tokens = "fresh" THEN claims + 1 ELSE nth
       IN /\ life' = IF new THEN life + 1 ELSE life
          /\ inLife' = nth
          /\ token' = taken
          /\ held' = [held EXCEPT ![w] = taken]
          /\ born' = [born EXCEPT ![w] = life']
    /\ claims' = claims + 1
    /\ by' = [by EXCEPT ![w] = claims + 1]
    /\ state' = "working"
    /\ at' = [at EXCEPT ![w] = "working"]
    /\ UNCHANGED <<answer, world, stale, faults>>

EndLease ==
    /\ state = "working" /\ Guarantee # "no lease"
    /\ IF Alive(token)
       THEN faults < MostFaults /\ faults' = faults + 1
       ELSE UNCHANGED faults
    /\ state' = "ended"
    /\ UNCHANGED <<token, life, answer, claims, inLife, workers, world, stale>>

(* No further run: by guarantee, or as it has killed its workers too often. *)
Park ==
    /\ state = "ended" /\ (~RunsAgain \/ claims = MostClaims)
    /\ state' = "unknown"
    /\ UNCHANGED <<token, life, answer, claims, inLife, workers, world, stale, faults>>

Purge ==
    /\ Purging /\ state \in {"done", "released"}
    /\ state' = "absent" /\ inLife' = 0 /\ token' = 0
    /\ UNCHANGED <<life, answer, claims, workers, world, stale, faults>>

--------------------------------------------------------------------------
(* The work *)

Act(w) ==
    /\ at[w] = "working" /\ External
    /\ LET l == born[w]
           refused == Guarantee = "token at effect" /\ held[w] < highest[l]
           known == Guarantee = "resume" /\ l \in heard
       IN IF refused
          THEN /\ at' = [at EXCEPT ![w] = "idle"]
               /\ UNCHANGED <<effects, heard, highest>>
          ELSE /\ at' = [at EXCEPT ![w] = "acted"]
               /\ effects' = [effects EXCEPT ![l] = IF known THEN @ ELSE @ + 1]
               /\ heard' = heard \cup {l}
               /\ highest' = [highest EXCEPT ![l] = held[w]]
    /\ UNCHANGED <<record, held, by, born, answers, stale, faults>>

Stored(w) ==
    /\ state' = "done" /\ answer' = by[w]
    /\ stale' = (stale \/ born[w] # life \/ by[w] # claims)
    /\ answers' = [answers EXCEPT ![life] = @ \cup {by[w]}]
    /\ UNCHANGED <<token, life, claims, inLife>>

NotStored ==
    UNCHANGED <<record, stale, answers>>

Complete(w) ==
    /\ at[w] = "acted"
    /\ IF Owns(w) \/ (Guarantee = "free complete" /\ life > 0)
       THEN Stored(w)
       ELSE NotStored  \* it answers with the winner's, or with nothing: a replay
    /\ at' = [at EXCEPT ![w] = "idle"]
    /\ UNCHANGED <<held, by, born, effects, heard, highest, faults>>

(* The effect and the record in one transaction of the store. *)
Commit(w) ==
    /\ at[w] = "working" /\ ~External
    /\ IF Owns(w)
       THEN /\ Stored(w)
            /\ effects' = [effects EXCEPT ![born[w]] = @ + 1]
       ELSE NotStored /\ UNCHANGED effects
    /\ at' = [at EXCEPT ![w] = "idle"]
    /\ UNCHANGED <<held, by, born, heard, highest, faults>>

(* The outcome is stored, and sent, before there is one. *)
AnswerFirst(w) ==
    /\ at[w] = "working" /\ Guarantee = "answer first"
    /\ IF Owns(w)
       THEN Stored(w) /\ at' = [at EXCEPT ![w] = "told"]
       ELSE NotStored /\ at' = [at EXCEPT ![w] = "idle"]
    /\ UNCHANGED <<held, by, born, effects, heard, highest, faults>>

ActThen(w) ==
    /\ at[w] = "told"
    /\ effects' = [effects EXCEPT ![born[w]] = @ + 1]
    /\ at' = [at EXCEPT ![w] = "idle"]
    /\ UNCHANGED <<record, held, by, born, heard, highest, answers, stale, faults>>

(* SafeToRetry: the author vouches that nothing happened. *)
GiveUp(w) ==
    /\ at[w] = "working" /\ faults < MostFaults
    /\ faults' = faults + 1
    /\ IF Owns(w) \/ (Guarantee = "free release" /\ life > 0)
       THEN /\ state' = "released"
            /\ stale' = (stale \/ born[w] # life \/ by[w] # claims)
            /\ UNCHANGED <<token, life, answer, claims, inLife>>
       ELSE UNCHANGED <<record, stale>>
    /\ at' = [at EXCEPT ![w] = "idle"]
    /\ UNCHANGED <<held, by, born, world>>

(* An exception after the effect, taken for proof that there was none. *)
FreeOnError(w) ==
    /\ Guarantee = "error frees"
    /\ at[w] = "acted" /\ faults < MostFaults /\ Owns(w)
    /\ faults' = faults + 1
    /\ state' = "released"
    /\ at' = [at EXCEPT ![w] = "idle"]
    /\ UNCHANGED <<token, life, answer, claims, inLife, held, by, born, world, stale>>

Crash(w) ==
    /\ at[w] \in {"working", "acted", "told"} /\ faults < MostFaults
    /\ faults' = faults + 1
    /\ at' = [at EXCEPT ![w] = "idle"]
    /\ UNCHANGED <<record, held, by, born, world, stale>>

Replay(w) ==
    /\ at[w] = "idle" /\ state = "done"
    /\ answers' = [answers EXCEPT ![life] = @ \cup {answer}]
    /\ at' = [at EXCEPT ![w] = "answered"]
    /\ UNCHANGED <<record, held, by, born, effects, heard, highest, stale, faults>>

(* Each caller asks again later, also after a purge. *)
AskAgain(w) ==
    /\ at[w] = "answered" /\ Purging /\ state = "absent"
    /\ at' = [at EXCEPT ![w] = "idle"]
    /\ UNCHANGED <<record, held, by, born, world, stale, faults>>

--------------------------------------------------------------------------
(* A way out of UNKNOWN: the reconcile hook, or an operator who has looked *)

FoundDone ==
    /\ Verdict # "nobody" /\ state = "unknown" /\ effects[life] > 0
    /\ state' = "done" /\ answer' = 0
    /\ UNCHANGED <<token, life, claims, inLife, workers, world, stale, faults>>

FoundNothing ==
    /\ state = "unknown" /\ effects[life] = 0
    /\ \/ Verdict = "truth" /\ ~Alive(token)
       \/ Verdict = "hindsight"
    /\ state' = "released"
    /\ UNCHANGED <<token, life, answer, claims, inLife, workers, world, stale, faults>>

--------------------------------------------------------------------------
Next ==
    \/ EndLease \/ Park \/ Purge \/ FoundDone \/ FoundNothing
    \/ \E w \in Workers :
        \/ Claim(w) \/ Act(w) \/ Complete(w) \/ Commit(w) \/ GiveUp(w)
        \/ AnswerFirst(w) \/ ActThen(w) \/ FreeOnError(w) \/ Crash(w) \/ Replay(w) \/ AskAgain(w)

Fairness ==
    /\ WF_vars(EndLease /\ ~Alive(token)) /\ WF_vars(Park)
    /\ WF_vars(FoundDone) /\ WF_vars(FoundNothing)
    /\ \A w \in Workers :
        /\ WF_vars(Act(w)) /\ WF_vars(Complete(w)) /\ WF_vars(Commit(w))
        /\ WF_vars(AnswerFirst(w)) /\ WF_vars(ActThen(w))
        /\ SF_vars(Claim(w)) /\ WF_vars(Replay(w))

Spec == Init /\ [][Next]_vars /\ Fairness

--------------------------------------------------------------------------
(* What must hold *)

TypeOK ==
    /\ state \in {"absent", "released", "done"} \cup Open
    /\ life \in 0..MostLives /\ claims \in 0..MostClaims
    /\ at \in [Workers -> {"idle", "working", "acted", "told", "answered"}]

(* I1: effects(key) is at most 1. *)
AtMostOneEffect == \A l \in Lives : effects[l] <= 1

(* I2: all who are answered are told the same. *)
OneAnswer == \A l \in Lives : Cardinality(answers[l]) <= 1

(* I4: what was acknowledged has been done. *)
AnsweredMeansDone == \A l \in Lives : answers[l] # {} => effects[l] >= 1

(* I7: a token that is not the record's changes nothing. *)
StaleChangesNothing == ~stale

(* I5: a record that is done stays done until it is purged. *)
DoneStays == [][state = "done" => state' \in {"done", "absent"}]_vars

(* The bounds of the model, which the product has not. *)
Exhausted == claims = MostClaims \/ (state = "absent" /\ life = MostLives)

(* I8: faults are few, so the key comes to an end: an answer, or a parked key. *)
Ends == <>(state \in {"done", "unknown"} \/ Exhausted)

(* And where somebody settles what is unknown, all callers are answered. *)
Answered == <>((\A w \in Workers : at[w] = "answered") \/ Exhausted)
============================================================================
