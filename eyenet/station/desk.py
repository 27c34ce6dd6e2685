"""The desk of the station: take a file, grade its photographs, and enter them and the answers in the register.

The register and the inbox hold the whole state: after a stop at any moment, `Desk.begin` and the next look at the inbox
find what is missing, and no answer is entered twice.
"""

from eyenet.data.identity import Identity
from eyenet.grading.answering import look_at, patient_row
from eyenet.grading.rows import LEFT_OUT, UNREAD
from eyenet.model.folder import LITE_NETWORK
from eyenet.photo.camera import read_camera
from eyenet.photo.kinds import examine
from eyenet.photo.pages import split_page
from eyenet.run.files import plain, sha256
from eyenet.run.version import VERSION
from eyenet.sets.identify import identify
from eyenet.station.answers import Answers, Event, say
from eyenet.station.forms import Forms
from eyenet.station.inbox import state_of
from eyenet.station.recall import NETWORK, STAMP, Memory, shorten_all
from eyenet.station.visits import Member, person_of, source_of

NOBODY = "patient or eye unknown: not used in any answer"
ERASED = "is the file of a patient who was erased, so it is not used; photograph this patient again"
DOUBTFUL = "; it is unclear which patient or eye it shows, so it cannot rule out disease for either"
# Facts not repeated in the entry of a duplicate file: a report or the shift alarm would count them twice.
ONCE = ("gradable", "result", "quality", "questions", "grade", "expected_grade", "identity", "measures")
GRADED_BY = ("name", "operating_point", "trained_on", "unsure", "version")  # of the network, with each photograph


class Changed(Exception):
    """The file was changed or could not be read while it was graded; nothing was entered."""


class Desk:
    """Grade the files of an inbox.

    Parameters
    ----------
    inbox : Path
        Absolute.
    screener : eyenet.model.screener.Screener
    register : eyenet.station.register.Register
    one_clinic : bool
        Whether equal IDs are one person in all subfolders.
    clock : eyenet.station.clock.Clock, optional
    forms : eyenet.station.forms.Forms, optional
        Receives the patients whose forms may need an update.
    """

    def __init__(self, inbox, screener, register, one_clinic=False, clock=None, forms=None):
        self.inbox, self.screener, self.register, self.one_clinic = inbox, screener, register, one_clinic
        self.forms = forms or Forms(register)
        self.unread, self.there = {}, set()  # files that cannot be read; names of those that were new at the start
        self.model = {
            "name": screener.name,
            "sha256": screener.config["files"][LITE_NETWORK],
            "operating_point": screener.point,
            "rules": screener.rules(),
            "trained_on": screener.trained_on,
            "asked_field": screener.field,
            "unsure": screener.unsure,
            "version": VERSION,
        }
        network = " ".join(self.model[key] for key in ("name", "operating_point", "rules", "asked_field"))
        self.memory = Memory(inbox, register, network, clock)
        self.visits = self.memory.visits
        self.answers = Answers(screener, self.memory, self.model, self.forms)

    def begin(self, paths):
        """Recall the state from the register, and enter answers that a stop has prevented.

        Photographs count if they are in the inbox, and those of open visits also if they have left it: the other eye of
        the patient may still come. A patient with a file that is not in the register is answered when the file is
        taken.

        Parameters
        ----------
        paths : iterable of Path
            The files of the inbox.

        Returns
        -------
        known : dict of Path to eyenet.station.inbox.State
            The files that need not be taken, since their photographs are in the register.
        events : list of Event
        """
        self.memory.begin()
        known, open_people, events = {}, set(), []
        for path in paths:
            who = shorten_all(identify(path, [self.inbox], self.one_clinic))
            try:
                state = state_of(path)
                found = self.register.photograph(sha256(path))
            except OSError:  # `take` reports it
                found = None
            again = None if found is None else self.memory.copies.find_again(found, who)
            if again is None and (found is None or not self.memory.copies.is_erased(found)):
                open_people.add(person_of(who))
                self.there.add(self._name(path))
                continue
            known[path] = state
            if again is not None:
                self.memory.recall(again, Identity(*again.facts["identity"]))
            else:
                events.append(Event(LEFT_OUT, plain(self._name(path)), ERASED))
        self.answers.owed |= self.visits.people.keys() - open_people
        return known, events + self.answers.enter()

    def _name(self, path):
        return path.relative_to(self.inbox).as_posix()

    def take(self, path):
        """Grade a file, and enter its photographs and the answers of their patients.

        Returns
        -------
        list of Event

        Raises
        ------
        Changed
            If the file is being changed, or the disk is gone; try again later.
        OtherNetwork
            If the visit was graded by another network; the photograph is not entered.
        StageError
            If the register cannot be written; earlier entries are kept.
        """
        name = self._name(path)
        try:
            state, digest = state_of(path), sha256(path)
        except OSError as error:
            raise Changed(f"cannot be read: {error.strerror}") from error
        found, reason, _ = examine(path)
        if reason is not None:
            self._check_same(path, state)
            return [Event(LEFT_OUT, plain(name), plain(reason)), *self.forget_unread(name)]
        events = []
        self._drop_unread(name)
        for photograph in found:
            concerned, told = self._enter(photograph, digest, state)
            events += told
            self.answers.owed |= concerned
        return events + self.answers.enter()

    def forget_unread(self, name):
        """Forget an unreadable file that is gone; answer its patient without it."""
        self._drop_unread(name)
        return self.answers.enter()

    def _drop_unread(self, name):
        for page in self.unread.pop(name, ()):
            gone = self.visits.remove_unread(page)
            self.answers.gone += gone
            self.answers.owed |= {person_of(member.identity) for member in gone}

    def _enter(self, path, digest, state):
        """Find a photograph in the register, or grade and enter it; return the persons it concerns, and events."""
        name = self._name(path)
        file, page = split_page(path)
        digest = digest if page is None else f"{digest}[{page}]"
        who = shorten_all(identify(path, [self.inbox], self.one_clinic))
        known = self.register.photograph(digest)
        if known is not None:
            return self._enter_again(known, name, who)
        concerned = self.memory.load_for(who)
        row = look_at(self.screener, path)
        camera = read_camera(path)
        self._check_same(file, state)
        event = Event(row["result"], plain(name), plain("; ".join(row["reasons"])))
        if row["result"] == LEFT_OUT:
            return set(), [event]
        if row["result"] == UNREAD:
            self.unread.setdefault(self._name(file), []).append(name)
            return concerned | self._add_unread(Member(name, who, row, None, None), file, state), [event]
        concerned |= self._write(digest, name, who, row | camera | self.forms.source(path))
        text = say(row) if person_of(who) else f"{say(row)}; {NOBODY}"
        return concerned, [Event("photograph", plain(name), text)]

    def _add_unread(self, member, file, state):
        """Add an unreadable file to the patient's visit; return the persons it concerns.

        A file from before the start may belong to a visit that is over and answered.
        """
        who = member.identity
        last = self.memory.last_visit(who, state.modified) if self._name(file) in self.there else None
        if last is not None:
            old = member._replace(identity=who._replace(visit=who.visit or last.label, date=who.date or last.label))
            people = self.memory.add(old, last.stamp, last.recorded)
            if self._is_answered(old.identity):
                return people
            self.visits.remove_unread(member.name)
        member = member._replace(identity=self.memory.label(who))
        return self.memory.add(member, self.memory.clock.stamp(), self.register.now().isoformat())

    def _is_answered(self, identity):
        """Return whether the answer in the register is up to date with a visit."""
        answers = {
            one.visit: (one.answer.get("result"), one.answer.get("reasons"), one.photographs)
            for one in self.register.answers(patient_key=self.register.known_key(source_of(identity)))
        }
        for visit in self.visits.grouped(person_of(identity))[0]:
            if visit.visit == identity.visit:
                row = patient_row(self.screener, visit.patient, visit.eyes)
                return answers.get(visit.visit) == (row["result"], row["reasons"], visit.ids)
        return False

    def _enter_again(self, known, name, who):
        """Count a photograph that is in the register; enter its file again if it names another patient or eye."""
        again = self.memory.copies.find_again(known, who)
        if again is not None:
            return self.memory.recall(again, Identity(*again.facts["identity"])), []
        if self.memory.copies.is_erased(known):
            return set(), [Event(LEFT_OUT, plain(name), ERASED)]
        self.memory.check_network(known)
        concerned = self.memory.load_for(who) | self.memory.load_shared(known)
        who = self.memory.copies.doubtful(known, who)
        facts = {name: value for name, value in known.facts.items() if name not in ONCE}
        concerned |= self._write(None, name, who, facts, same_as=known)
        what = f"is the same file as {known.name}" + (DOUBTFUL if who.doubt else "")
        return concerned, [Event("photograph", plain(name), plain(what))]

    def _write(self, digest, name, who, facts, same_as=None):
        """Enter a photograph, and add it to those that count; return the persons it concerns."""
        who, stamp, source = self.memory.label(who), self.memory.clock.stamp(), source_of(who)
        key = self.register.identify(source) if source else None
        told = facts | {"identity": list(who), "inbox": self.memory.inbox, STAMP: stamp, NETWORK: self.memory.network}
        told |= {"version": VERSION, "graded_by": {part: self.model[part] for part in GRADED_BY}}
        number = self.register.add_photograph(digest, name, key, who.eye, who.visit, told, same_as and same_as.id)
        self.memory.note(number, stamp)
        return self.memory.recall(self.register.photograph_numbered(number), who)

    @staticmethod
    def _check_same(path, state):
        """Make sure that a file was not changed while it was graded."""
        try:
            if state_of(path) == state:
                return
        except OSError as error:
            raise Changed(f"cannot be read: {error.strerror}") from error
        raise Changed("is still being written")
