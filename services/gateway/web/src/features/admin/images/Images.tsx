/** What becomes of the facility's images and identities, and how much room they take. */
import { useGetIngestSettingsQuery } from "../../../api/api";
import { Heading } from "../../../parts/Heading";
import { ProblemNote } from "../../../parts/ProblemNote";
import { Skeleton } from "../../../parts/Skeleton";
import { useWords } from "../../../words/words";
import { Forget } from "./Forget";
import { Rules } from "./Rules";
import { Usage } from "./Usage";
import { words } from "./words";

export default function Images() {
  const t = useWords(words);
  const { data: settings, error, refetch } = useGetIngestSettingsQuery();
  return (
    <>
      <Heading>{t.title}</Heading>
      <ProblemNote problem={error} {...(error && { retry: () => void refetch() })} />
      {!settings && !error && <Skeleton lines={8} />}
      {settings && <Rules settings={settings} />}
      <Usage />
      {settings && <Forget settings={settings} />}
    </>
  );
}
