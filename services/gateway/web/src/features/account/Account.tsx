/** One's own account: how one proves who one is, where one is logged in, what is mailed, how it looks. */
import "./account.css";

import { Tag } from "@blueprintjs/core";

import { useGetMeQuery } from "../../api/api";
import { Heading } from "../../parts/Heading";
import { Skeleton } from "../../parts/Skeleton";
import { useWords } from "../../words/words";
import { roleWords } from "../../words/roles";
import { Appearance } from "./Appearance";
import { Factors } from "./Factors";
import { Logins } from "./Logins";
import { Mails } from "./Mails";
import { Password } from "./Password";
import { words } from "./words";

export default function Account() {
  const t = useWords(words);
  const roles = useWords(roleWords);
  const { data: me } = useGetMeQuery();
  return (
    <div className="account">
      <Heading>{t.title}</Heading>
      {me ? (
        <p className="who">
          <strong>{me.name}</strong> <span className="quiet">{me.email}</span>
          <Tag minimal>{roles[me.role]}</Tag>
          {me.rights?.includes("identity") && <Tag minimal>{roles.identity}</Tag>}
        </p>
      ) : (
        <Skeleton lines={1} />
      )}
      <Factors />
      <Password />
      <Logins />
      <Mails />
      <Appearance />
    </div>
  );
}
