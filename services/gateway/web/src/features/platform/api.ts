/** What operators ask and change; a bundle travels as a form, which can't be generated. */
import { api } from "../../api/api";
import type { ModelOut } from "../../api/generated";

export const platformApi = api.injectEndpoints({
  endpoints: (build) => ({
    uploadModel: build.mutation<ModelOut, File>({
      query: (bundle) => {
        const body = new FormData();
        body.append("bundle", bundle);
        return { url: "/api/v1/models", method: "POST", body };
      },
      invalidatesTags: ["models"],
    }),
  }),
});

export const {
  useListFacilitiesQuery,
  useOpenFacilityMutation,
  useChangeFacilityMutation,
  useInviteFirstAdminMutation,
  useGetChecklistOfQuery,
  useListModelsQuery,
  useListRolloutsQuery,
  useUploadModelMutation,
  useChangeModelMutation,
  useActivateModelMutation,
  useStartShadowMutation,
  useEndShadowMutation,
  useStartCanaryMutation,
  useEndCanaryMutation,
  useRollBackMutation,
  useCompareQuery,
  useGetPlatformHealthQuery,
  useListDeadLettersQuery,
  useRedeliverDeadLetterMutation,
  useListRecentErrorsQuery,
} = platformApi;
