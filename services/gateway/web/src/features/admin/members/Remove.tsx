import { useRemoveMemberMutation } from "../../../api/api";
import type { Member } from "../../../api/generated";
import { Ask } from "../../../parts/Ask";
import { useTell } from "../../../parts/useTell";
import { useWords } from "../../../words/words";
import { words } from "./words";

/** Nothing brings somebody back whose name is forgotten: here one is asked. */
export function Remove({ member: { id, name }, onClose }: { member: Member; onClose: () => void }) {
  const t = useWords(words);
  const tell = useTell();
  const [remove] = useRemoveMemberMutation();
  const go = async () => {
    await remove({ memberId: id }).unwrap();
    tell.done(t.removed(name));
    onClose();
  };
  return (
    <Ask title={t.removeTitle(name)} go={t.removeGo} danger onGo={go} onClose={onClose}>
      <p>{t.removeHelp}</p>
      <p className="quiet">{t.removeInstead}</p>
    </Ask>
  );
}
