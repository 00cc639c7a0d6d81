/** The facility's people: their roles and rights, and what helps or stops them. */
import { InputGroup } from "@blueprintjs/core";
import { Search } from "@blueprintjs/icons";
import { useEffect, useState } from "react";

import { useGetMeQuery } from "../../../api/api";
import { Heading } from "../../../parts/Heading";
import { useWords } from "../../../words/words";
import { useMembersInfiniteQuery } from "../api";
import { Listed } from "../Listed";
import { Member } from "./Member";
import { words } from "./words";

export default function Members() {
  const t = useWords(words);
  const { data: me } = useGetMeQuery();
  const [sought, setSought] = useState("");
  const list = useMembersInfiniteQuery(undefined, { refetchOnMountOrArgChange: true });
  const { hasNextPage, isFetching, fetchNextPage } = list;
  const letters = sought.trim().toLocaleLowerCase();
  useEffect(() => {
    // The API has no search for people: whoever seeks gets all parts, one after the other.
    if (letters && hasNextPage && !isFetching) void fetchNextPage();
  }, [letters, hasNextPage, isFetching, fetchNextPage]);
  return (
    <>
      <div className="head">
        <Heading>{t.title}</Heading>
        <InputGroup
          type="search"
          leftIcon={<Search />}
          aria-label={t.search}
          placeholder={t.search}
          value={sought}
          onValueChange={setSought}
        />
      </div>
      <section className="panel" aria-label={t.title}>
        <Listed
          list={list}
          label={t.title}
          empty={t.noneFound}
          only={({ name, email }) => `${name} ${email}`.toLocaleLowerCase().includes(letters)}
        >
          {(member) => <Member key={member.id} member={member} isMe={member.id === me?.id} />}
        </Listed>
      </section>
    </>
  );
}
